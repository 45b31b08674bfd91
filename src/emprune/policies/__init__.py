"""Policies and their registry: one file a family, one entry a policy."""

from __future__ import annotations

from emprune.errors import ArgumentError
from emprune.policies.bandits import UCB, EpsilonGreedy
from emprune.policies.base import BatchRequest, BatchSelection, InBatchPolicy, Policy, Request
from emprune.policies.divbs import DivBS
from emprune.policies.emp import EMP, LFL
from emprune.policies.infobatch import InfoBatch, InfoBatchPublished
from emprune.policies.kakurenbo import Kakurenbo
from emprune.policies.orderdp import OrderDP
from emprune.policies.random import RS2, DynamicRandom, Full, StaticRandom
from emprune.policies.repb import RePB
from emprune.policies.scan import SCAN
from emprune.policies.selective_backprop import SelectiveBackprop
from emprune.policies.seta import SeTa, SeTaPublished
from emprune.policies.static import StaticScores, StaticSubset

REGISTRY: dict[str, type[Policy]] = {
    policy.name: policy
    for policy in (
        Full, StaticRandom, DynamicRandom, RS2, LFL, EpsilonGreedy, UCB, InfoBatch, InfoBatchPublished, Kakurenbo, SeTa,
        SeTaPublished, OrderDP, RePB, SCAN, DivBS, SelectiveBackprop, StaticScores, EMP,
    )
}  # fmt: skip
"""Every built-in policy by name."""


def get_policy(name: str, **settings: object) -> Policy:
    """Build a policy by its registered name.

    Raises:
        ArgumentError: the name is unknown (the message lists the known ones) or a setting is.

    >>> get_policy("emp", beta=2.0).settings()["beta"]
    2.0
    """
    if name not in REGISTRY:
        raise ArgumentError("policy", name, f"one of {', '.join(REGISTRY)}, or an object of a Policy subclass")
    try:
        return REGISTRY[name](**settings)
    except TypeError as error:
        raise ArgumentError(f"settings of {name}", settings, str(error)) from error


def partitionable() -> list[str]:
    """Names of the policies that work where no rank holds the whole score table."""
    return [name for name, policy in REGISTRY.items() if policy.partitionable]


__all__ = [
    "EMP", "LFL", "REGISTRY", "RS2", "SCAN", "UCB", "BatchRequest", "BatchSelection", "DivBS", "DynamicRandom",
    "EpsilonGreedy", "Full", "InBatchPolicy", "InfoBatch", "InfoBatchPublished", "Kakurenbo", "OrderDP", "Policy",
    "RePB", "Request", "SeTa", "SeTaPublished", "SelectiveBackprop", "StaticRandom", "StaticScores", "StaticSubset",
    "get_policy", "partitionable",
]  # fmt: skip
