"""What a saved pruner must agree on with the one that restores it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.errors import StateError
from emprune.observations import has_repeats
from emprune.plan import EpochPlan
from emprune.policies.base import Policy
from emprune.schedule import PruneRate
from emprune.shard import Shard
from emprune.sharded import restored_plan

SCHEMA_VERSION = 1


def fingerprint(
    policy: Policy, prune_rate: PruneRate, num_epochs: int, **settings: int | float | str
) -> dict[str, Any]:
    """Everything that decides which samples a run trains, as JSON values."""
    rates: float | list[float]
    if isinstance(prune_rate, Callable):  # type: ignore[arg-type]
        rates = [float(prune_rate(epoch)) for epoch in range(num_epochs)]  # type: ignore[operator]
    else:
        rates = [float(r) for r in prune_rate] if isinstance(prune_rate, Sequence) else float(prune_rate)  # type: ignore[arg-type]
    return {
        "policy": policy.name,
        "policy_settings": _json_value(policy.settings()),
        "prune_rate": rates,
        "num_epochs": num_epochs,
        **settings,
    }


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


def restorable(
    state: Mapping[str, Any], expected: Mapping[str, Any], shard: Shard
) -> tuple[dict[str, Any], dict[str, torch.Tensor], EpochPlan | None, NDArray[np.bool_] | None]:
    """Split a state into counters, table columns, and the running epoch's plan and reported rows, if any.

    Raises:
        StateError: the schema version or a field of the fingerprint differs (names the field and both
            values), or a part is missing.
    """
    version = state.get("schema_version")
    if version != SCHEMA_VERSION:
        raise StateError(f"state has schema_version {version!r}; this version of emprune reads {SCHEMA_VERSION}.")
    saved = state.get("fingerprint", {})
    for name in [*expected, *(set(saved) - set(expected))]:
        if saved.get(name) != expected.get(name):
            raise StateError(
                f"{name} is {expected.get(name)!r} here, but the state was saved with {saved.get(name)!r}. "
                "Build the pruner as it was when saving, or start a new run."
            )
    counters = dict(state.get("counters", {}))
    missing = {"epoch", "consumed", "global_batch", "samples_forward", "steps", "seconds_selecting"} - set(counters)
    if missing or ("plan.ids" in state) != ("plan.weights" in state):
        raise StateError(f"state is incomplete; it lacks {', '.join(sorted(missing)) or 'a part of the plan'}.")
    columns = {name.removeprefix("table."): column for name, column in state.items() if name.startswith("table.")}
    rows = state.get("rows", [0, expected["num_samples"]])
    if rows != [shard.begin, shard.end]:
        raise StateError(
            f"the state holds rows {rows[0]} to {rows[1]}, those of this rank are {shard.begin} to {shard.end}. Give "
            "each rank the state that it saved itself."
        )
    if not shard.is_whole:
        return counters, columns, *(restored_plan(state, counters["epoch"], shard) or (None, None))
    return counters, columns, _whole_plan(state, counters["epoch"], expected["num_samples"]), None


def _whole_plan(state: Mapping[str, Any], epoch: int, num_samples: int) -> EpochPlan | None:
    if "plan.ids" not in state:
        return None
    ids, weights = state["plan.ids"].cpu().numpy().copy(), state["plan.weights"].cpu().numpy().copy()
    fits = ids.dtype == np.int64 and weights.dtype == np.float32 and ids.shape == weights.shape == (len(ids),)
    if not fits or has_repeats(ids) or (len(ids) and not 0 <= ids.min() <= ids.max() < num_samples):
        raise StateError(
            f"the plan has {ids.dtype} ids of shape {ids.shape} and {weights.dtype} weights of shape {weights.shape}; "
            f"allowed: distinct int64 ids from 0 to {num_samples - 1} and one float32 weight for each."
        )
    return EpochPlan(epoch, num_samples, ids, weights)
