"""Policies: ``base`` says what a policy is and is asked, ``registry`` finds the built-in ones, each of the other files
holds a family of them with formula, source and every departure from it.
"""

from __future__ import annotations

from emprune.policies.bandits import UCB, EpsilonGreedy
from emprune.policies.base import BatchRequest, BatchSelection, InBatchPolicy, Policy, Request
from emprune.policies.divbs import DivBS
from emprune.policies.emp import EMP, LFL
from emprune.policies.gated import GatedEMP
from emprune.policies.infobatch import InfoBatch, InfoBatchPublished
from emprune.policies.kakurenbo import Kakurenbo
from emprune.policies.orderdp import OrderDP
from emprune.policies.random import RS2, DynamicRandom, Full, StaticRandom
from emprune.policies.registry import (
    REGISTRY,
    check_settings,
    discovered,
    get_policy,
    missing_settings,
    partitionable,
)
from emprune.policies.repb import RePB
from emprune.policies.scan import SCAN
from emprune.policies.selective_backprop import SelectiveBackprop
from emprune.policies.seta import SeTa, SeTaPublished
from emprune.policies.static import StaticScores, StaticSubset

REGISTRY.update(discovered(__name__, __path__))

__all__ = [
    "EMP", "LFL", "REGISTRY", "RS2", "SCAN", "UCB", "BatchRequest", "BatchSelection", "DivBS", "DynamicRandom",
    "EpsilonGreedy", "Full", "GatedEMP", "InBatchPolicy", "InfoBatch", "InfoBatchPublished", "Kakurenbo", "OrderDP",
    "Policy", "RePB", "Request", "SeTa", "SeTaPublished", "SelectiveBackprop", "StaticRandom", "StaticScores",
    "StaticSubset", "check_settings", "get_policy", "missing_settings", "partitionable",
]  # fmt: skip
