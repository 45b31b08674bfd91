"""What a saved pruner holds, and what it must agree on with the one that restores it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch

from emprune.epoch.schedule import PruneRate, rates_of
from emprune.errors import StateError
from emprune.policies.base import Policy
from emprune.table import ScoreTable

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Counters:
    """The numbers of a state.

    Attributes:
        epoch: the running one, from 0.
        consumed: samples of its plan, or this rank's partition of it, that steps have consumed.
        global_batch: samples that all ranks train in a step, as far as known; else 0.
        samples_forward: that went through the model in training steps, on all ranks.
        steps: training steps of this rank.
        seconds_selecting: wall time spent on making plans.
    """

    epoch: int = 0
    consumed: int = 0
    global_batch: int = 0
    samples_forward: int = 0
    steps: int = 0
    seconds_selecting: float = 0.0


def fingerprint(
    policy: Policy, prune_rate: PruneRate, num_epochs: int, **settings: int | float | str
) -> dict[str, Any]:
    """Everything that decides which samples a run trains, as JSON values."""
    rates = rates_of(prune_rate, num_epochs)
    return {
        "policy": policy.name,
        "policy_settings": _json_value(policy.settings()),
        "prune_rate": [float(rate) for rate in rates] if isinstance(rates, list) else float(rates),
        "num_epochs": num_epochs,
        **settings,
    }


def pack(fingerprint: Mapping[str, Any], counters: Counters, table: ScoreTable) -> dict[str, Any]:
    """The state of a pruner between epochs: flat tensors and JSON values; a running plan's state comes beside it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": dict(fingerprint),
        "counters": asdict(counters),
        "rows": [table.owned.begin, table.owned.end],
        **{f"table.{name}": column for name, column in table.state_dict().items()},
    }


def unpack(
    state: Mapping[str, Any], fingerprint: Mapping[str, Any], table: ScoreTable
) -> tuple[Counters, dict[str, torch.Tensor]]:
    """Counters and table columns of a state.

    Raises:
        StateError: the schema version, a field of the fingerprint or the rows differ (names the field and both
            values), or a part is missing.
    """
    version = state.get("schema_version")
    if version != SCHEMA_VERSION:
        raise StateError(f"state has schema_version {version!r}; this version of emprune reads {SCHEMA_VERSION}.")
    saved = state.get("fingerprint", {})
    for name in [*fingerprint, *(set(saved) - set(fingerprint))]:
        if saved.get(name) != fingerprint.get(name):
            raise StateError(
                f"{name} is {fingerprint.get(name)!r} here, but the state was saved with {saved.get(name)!r}. "
                "Build the pruner as it was when saving, or start a new run."
            )
    counters, owned = dict(state.get("counters", {})), table.owned
    missing = {field.name for field in fields(Counters)} - set(counters)
    if missing or ("plan.ids" in state) != ("plan.weights" in state):
        raise StateError(f"state is incomplete; it lacks {', '.join(sorted(missing)) or 'a part of the plan'}.")
    most = fingerprint["num_epochs"] - ("plan.ids" in state)
    if counters["epoch"] not in range(most + 1):
        raise StateError(f"the state is of epoch {counters['epoch']}; allowed: 0 to {most}.")
    rows = state.get("rows", [0, table.owned.num_samples])
    if rows != [owned.begin, owned.end]:
        raise StateError(
            f"the state holds rows {rows[0]} to {rows[1]}, those of this rank are {owned.begin} to {owned.end}. Give "
            "each rank the state that it saved itself."
        )
    columns = {name.removeprefix("table."): column for name, column in state.items() if name.startswith("table.")}
    return Counters(**counters), columns


def _json_value(value: Any) -> Any:
    """The value as JSON can hold it; an array by what identifies it, its dtype, shape and digest."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        digest = hashlib.blake2b(np.ascontiguousarray(value).tobytes(), digest_size=16).hexdigest()
        return f"{value.dtype} {list(value.shape)} {digest}"
    if isinstance(value, Mapping):
        return {str(key): _json_value(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(inside) for inside in value]
    return value.item() if isinstance(value, np.generic) else value
