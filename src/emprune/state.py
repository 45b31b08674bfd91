"""What a saved pruner holds, and what it must agree on with the one that restores it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.distributed.rank_slice import RankSlice
from emprune.epoch.auto_rate import AutoRate
from emprune.epoch.schedule import PruneRate, Schedule, kept_per_epoch, rates_of
from emprune.errors import ArgumentError, StateError
from emprune.overrides import changes
from emprune.policies.base import Policy
from emprune.table import ScoreTable

SCHEMA_VERSION = 1
_SCHEDULE = ("num_samples", "num_epochs", "prune_rate", "warmup_epochs", "anneal", "budget")


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


def fingerprint(policy: Policy, prune_rate: PruneRate, num_epochs: int, **settings: Any) -> dict[str, Any]:
    """Everything that decides which samples a run trains, as JSON values; arrays by their digests."""
    rates = rates_of(prune_rate, num_epochs)
    if isinstance(rates, AutoRate):
        rate: Any = rates.as_json()
    else:
        rate = [float(rate) for rate in rates] if isinstance(rates, list) else float(rates)
    return {
        **policy_identity(policy),
        "prune_rate": rate,
        "num_epochs": num_epochs,
        **{name: _json_value(value) for name, value in settings.items()},
    }


def policy_identity(policy: Policy) -> dict[str, Any]:
    """Which policy it is, and its settings as JSON values."""
    return {"policy": _identity(policy), "policy_settings": _json_value(policy.settings())}


def schedule_of(fingerprint: Mapping[str, Any], begun: Schedule | None = None) -> Schedule:
    """The schedule that settings make.

    Args:
        begun: of the first epochs, which have begun by other settings; see
            :func:`emprune.epoch.schedule.kept_per_epoch`.

    Raises:
        ArgumentError: they make none.
    """
    before = begun or Schedule((), ())
    kept = kept_per_epoch(**{name: fingerprint[name] for name in _SCHEDULE}, begun=before)
    rest = len(kept) - len(before.kept)
    return Schedule(kept, before.num_samples + (fingerprint["num_samples"],) * rest)


def _identity(policy: Policy) -> str:
    """The policy's name; where its class has inherited that from another rule, with the class's own."""
    kind = type(policy)
    return policy.name if "name" in vars(kind) else f"{policy.name} as {kind.__name__}"


def pack(fingerprint: Mapping[str, Any], counters: Counters, table: ScoreTable, schedule: Schedule) -> dict[str, Any]:
    """The state of a pruner between epochs: flat tensors and JSON values; a running plan's state comes beside it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": dict(fingerprint),
        "counters": asdict(counters),
        "schedule": {"kept": list(schedule.kept), "num_samples": list(schedule.num_samples)},
        "rows": [table.owned.begin, table.owned.end],
        **{f"table.{name}": column for name, column in table.state_dict().items()},
    }


class Loaded(NamedTuple):
    """What :func:`unpack` makes of a state.

    Attributes:
        counters: its numbers.
        columns: the score table's, of this table's length.
        schedule: that of the saved run.
        in_epoch: whether it holds a running plan.
        changed: fields in which its settings differ from the pruner's.
    """

    counters: Counters
    columns: dict[str, NDArray[Any]]
    schedule: Schedule
    in_epoch: bool
    changed: set[str]

    @property
    def begun(self) -> Schedule:
        """The schedule of the epochs that have begun: no setting that has changed touches them."""
        return self.schedule.first(self.counters.epoch + self.in_epoch)


def unpack(
    state: Mapping[str, Any], fingerprint: Mapping[str, Any], table: ScoreTable, allow: Collection[str] = ()
) -> Loaded:
    """A state's parts, checked against the pruner that is to go on with them.

    Args:
        fingerprint: that pruner's.
        table: its table; is not changed.
        allow: fields of the fingerprint that may differ; see :mod:`emprune.overrides`.

    Raises:
        StateError: the schema version, a field of the fingerprint or the rows differ (names the field and both
            values), or a part is missing or malformed.
    """
    if not isinstance(state, Mapping):
        raise StateError(f"the state is a {type(state).__name__}; allowed: what Pruner.state_dict() gave.")
    version = state.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise StateError(f"state has schema_version {version!r}; this version of emprune reads {SCHEMA_VERSION}.")
    in_epoch = "plan.ids" in state
    saved = _mapping(state, "fingerprint")
    changed = changes(saved, fingerprint, allow)
    if in_epoch != ("plan.weights" in state):
        raise StateError("state is incomplete; it lacks a part of the plan.")
    counters = _counters(_mapping(state, "counters"))
    most = fingerprint["num_epochs"] - in_epoch
    if "num_epochs" in changed and counters.epoch > most:
        here, least = fingerprint["num_epochs"], counters.epoch + in_epoch
        raise StateError(f"num_epochs is {here} here, but the state needs at least {least}.")
    if counters.epoch not in range(most + 1):
        raise StateError(f"the state is of epoch {counters.epoch}; allowed: 0 to {most}.")
    schedule = _schedule(state, saved)
    if len(schedule.kept) < counters.epoch + in_epoch:
        raise StateError(f"the schedule is of {len(schedule.kept)} epochs; the state is of epoch {counters.epoch}.")
    rows = _check_rows(state, table.owned, "num_samples" in changed)
    columns = {name.removeprefix("table."): column for name, column in state.items() if name.startswith("table.")}
    return Loaded(counters, table.columns_of(columns, rows), schedule, in_epoch, changed)


def _mapping(state: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = state.get(name, {})
    if not isinstance(found, Mapping):
        raise StateError(f"the state's {name} is a {type(found).__name__}; allowed: a dict.")
    return found


def _counters(saved: Mapping[str, Any]) -> Counters:
    known = {field.name: field for field in fields(Counters)}
    if missing := known.keys() - saved.keys():
        raise StateError(f"state is incomplete; it lacks {', '.join(sorted(missing))}.")
    for name, value in saved.items():
        if name not in known:
            raise StateError(f"state has a counter {name!r}; known: {', '.join(known)}. Update emprune.")
        whole = str(known[name].type) == "int"
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise StateError(f"{name} is {value!r} in the state; allowed: a {'whole ' if whole else ''}number.")
    return Counters(**saved)


def _schedule(state: Mapping[str, Any], saved: Mapping[str, Any]) -> Schedule:
    """The schedule of the saved run; of states that did not hold it yet, from their settings."""
    if "schedule" not in state:
        try:
            return schedule_of(saved)
        except (ArgumentError, KeyError, TypeError) as error:
            raise StateError(f"the state's settings make no schedule: {error}") from error
    parts = [_mapping(state, "schedule").get(field.name) for field in fields(Schedule)]
    if not all(isinstance(part, list) and all(type(count) is int and count > 0 for count in part) for part in parts):
        raise StateError("the state's schedule is malformed; allowed: lists of whole numbers, kept and num_samples.")
    kept, num_samples = tuple(parts[0] or ()), tuple(parts[1] or ())
    if len(kept) != len(num_samples) or any(k > n for k, n in zip(kept, num_samples, strict=True)):
        raise StateError("the state's schedule is malformed; allowed: for each epoch at most its num_samples kept.")
    return Schedule(kept, num_samples)


def _check_rows(state: Mapping[str, Any], owned: RankSlice, grown: bool) -> int:
    """How many rows a state holds, which must be those of this rank's table, or the first of them if it has grown."""
    rows = state.get("rows", [0, owned.num_samples])
    if not isinstance(rows, list | tuple) or len(rows) != 2 or not all(type(row) is int for row in rows):
        raise StateError(f"the state's rows are {rows!r}; allowed: the first and one past the last.")
    if grown and owned.is_whole and rows[0] == 0 <= rows[1] <= owned.end:
        return int(rows[1])
    if grown and not owned.is_whole:
        raise StateError(
            "num_samples cannot change where the table is partitioned, since each rank's rows would be others. Go on "
            "with the data as it was, or without partition_batch_size from a state that was saved without."
        )
    if list(rows) != [owned.begin, owned.end]:
        raise StateError(
            f"the state holds rows {rows[0]} to {rows[1]}, those of this rank are {owned.begin} to {owned.end}. Give "
            "each rank the state that it saved itself."
        )
    return owned.size


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
