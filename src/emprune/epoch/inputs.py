"""The values of a step, held against what its policy reads."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from emprune.checks import check_per_sample
from emprune.errors import ArgumentError
from emprune.policies.base import InBatchPolicy, Policy

StepValues = Mapping[str, torch.Tensor | None]
"""By name; None stands for a value that was not given."""

_COLUMNS = ("loss", "memory")  # of every score table
_HINTS = {
    "memory": "Call pruner.loss(ids, *emprune.scoring.classification(logits, labels)).",
    "confidence": "Pass confidence=emprune.scoring.confidence(logits, labels).",
    "gradient_products": "Pass gradient_products=emprune.scoring.gradient_products(logits, labels, hidden).",
    "features": "Pass features=; emprune.Capture gives those of a model's layers.",
}


def recorded_names(policy: Policy) -> tuple[str, ...]:
    """Which values are recorded of each sample: loss and memory term, and what else an epoch's policy reads."""
    further = () if isinstance(policy, InBatchPolicy) else policy.inputs
    return tuple(dict.fromkeys([*_COLUMNS, *further]))


def recorded_values(policy: Policy, values: StepValues, batch_size: int) -> dict[str, torch.Tensor]:
    """The values to be recorded of each sample, shape [B]; a memory term that nobody reads may be missing.

    Raises:
        ArgumentError: a value is missing, of another dtype or shape, or not one that the policy reads.
    """
    for name in values:
        if name not in (*_COLUMNS, *policy.inputs):
            raise ArgumentError(
                name, "given", f"what policy {policy.name!r} reads, {_listed(policy)}",
                'Pass a value only if its name is in policy.inputs; "memory" may always be given.',
            )  # fmt: skip
    found = {}
    for name in recorded_names(policy):
        value = values.get(name)
        if value is not None:
            check_per_sample(name, value, batch_size)
            found[name] = value
        elif name in ("loss", *policy.inputs):
            raise _missing(policy, name, f"one value for each of {batch_size} ids")
    return found


def batch_values(policy: InBatchPolicy, values: StepValues, batch_size: int) -> dict[str, torch.Tensor]:
    """What else an in-batch policy reads, without gradient: floating point, [B, ...].

    Raises:
        ArgumentError: a value is missing, or of another dtype or length.
    """
    found = {}
    for name in policy.inputs:
        if name in _COLUMNS:
            continue
        value, allowed = values.get(name), f"floating point of shape [{batch_size}, ...]"
        if value is None:
            raise _missing(policy, name, allowed)
        if not value.is_floating_point() or value.ndim == 0 or len(value) != batch_size:
            shown = f"{value.dtype} of shape {tuple(value.shape)}"
            raise ArgumentError(name, shown, f"{allowed}, for policy {policy.name!r}", _HINTS.get(name, ""))
        found[name] = value.detach()
    return found


def _missing(policy: Policy, name: str, allowed: str) -> ArgumentError:
    reads = f"since policy {policy.name!r} reads {_listed(policy)}"
    return ArgumentError(name, None, f"{allowed}, {reads}", _HINTS.get(name, ""))


def _listed(policy: Policy) -> str:
    return ", ".join(policy.inputs)
