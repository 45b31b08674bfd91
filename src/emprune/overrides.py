"""Which settings a run may change when it goes on from a state, and which of them are changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch

from emprune.errors import ArgumentError, StateError

SCHEDULED = frozenset({"prune_rate", "num_epochs", "warmup_epochs", "anneal", "budget", "num_samples"})
"""Fields that decide how many samples an epoch keeps."""

OVERRIDABLE = SCHEDULED | {
    "policy_settings",
    "sample_weight",
    "quotas",
    "order",
    "seed",
    "dataset_fingerprint",
    "batch_size",
}
"""Fields that may differ from the saved ones where ``allow`` names them.

Not ``policy``, since what a policy has not seen (a memory term, a column of its own) cannot be made up. Build a new
pruner for that.
"""


def allowed_fields(allow: Collection[str] | str) -> set[str]:
    """The fields that ``allow`` names.

    Raises:
        ArgumentError: one of them cannot differ.
    """
    fields = {allow} if isinstance(allow, str) else set(allow)
    for field in sorted(fields - OVERRIDABLE):
        raise ArgumentError("allow", field, f"fields among {', '.join(sorted(OVERRIDABLE))}")
    return fields


def changes(saved: Mapping[str, Any], here: Mapping[str, Any], allow: Collection[str]) -> set[str]:
    """Fields in which a pruner's fingerprint differs from that of a state, all of them allowed to.

    Raises:
        StateError: another field differs, or the data set has shrunk.
    """
    changed = {name for name in [*here, *saved] if _differ(saved.get(name), here.get(name))}
    before, now = saved.get("num_samples"), here["num_samples"]
    if before > now if isinstance(before, int) else "num_samples" in allow:
        raise StateError(
            f"num_samples is {now} here, but the state was saved with {before!r}; a data set may grow, by samples at "
            "its end, but not shrink. Start a new run."
        )
    longer = "num_epochs" in allow and _goes_on(saved.get("prune_rate"), here.get("prune_rate"))
    for name in [*here, *(set(saved) - set(here))]:
        if name in changed and name not in allow and not (name == "prune_rate" and longer):
            raise StateError(
                f"{name} is {here.get(name)!r} here, but the state was saved with {saved.get(name)!r}. Build the "
                f"pruner as it was when saving, or start a new run{_hint(name)}."
            )
    return changed


def _differ(saved: object, here: object) -> bool:
    return isinstance(saved, torch.Tensor) or bool(saved != here)


def _goes_on(saved: object, here: object) -> bool:
    """Whether both are rates per epoch, the saved ones the first of those here, or the other way round."""
    if not isinstance(saved, list) or not isinstance(here, list):
        return False
    return all(first == second for first, second in zip(saved, here, strict=False))


def _hint(name: str) -> str:
    return f"; allow={{{name!r}}} lets this one go on with another" if name in OVERRIDABLE else ""
