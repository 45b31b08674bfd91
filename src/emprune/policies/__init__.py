"""Policies and their registry: one file a family, one entry a policy."""

from __future__ import annotations

from emprune.errors import ArgumentError
from emprune.policies.base import BatchRequest, BatchSelection, Policy, Request
from emprune.policies.emp import EMP, LFL
from emprune.policies.infobatch import InfoBatch, InfoBatchPublished
from emprune.policies.random import RS2, DynamicRandom, Full, StaticRandom

REGISTRY: dict[str, type[Policy]] = {
    policy.name: policy for policy in (Full, StaticRandom, DynamicRandom, RS2, LFL, InfoBatch, InfoBatchPublished, EMP)
}
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


__all__ = [
    "EMP", "LFL", "REGISTRY", "RS2", "BatchRequest", "BatchSelection", "DynamicRandom", "Full", "InfoBatch", "InfoBatchPublished",
    "Policy", "Request", "StaticRandom", "get_policy",
]  # fmt: skip
