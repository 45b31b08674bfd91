"""EpochPlan: the frozen answer to "what does this epoch train on, in which order, with which weight"."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.distributed.partition import rank_count, rank_positions
from emprune.distributed.rank_slice import RankSlice
from emprune.distributed.world import World
from emprune.epoch.weights import Weights
from emprune.errors import EmpruneError, StateError
from emprune.policies.base import Policy, Request
from emprune.seeding import generator
from emprune.selection import Selection
from emprune.selection.blocks import Blocks
from emprune.selection.permutation import look_up, order
from emprune.table import array_of, has_duplicates

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class EpochPlan:
    """One epoch's samples in training order. Arrays are read-only; equality is equality of digests.

    Attributes:
        epoch: which epoch, from 0.
        num_samples: N, the size of the data set.
        ids: int64, shape [k], distinct dataset positions in the order of training.
        weights: float32, shape [k], factor of each sample's loss.
    """

    epoch: int
    num_samples: int
    ids: Ids
    weights: NDArray[np.float32]

    def __post_init__(self) -> None:
        self.ids.flags.writeable = False
        self.weights.flags.writeable = False

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EpochPlan) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"EpochPlan(epoch={self.epoch}, kept={len(self)}/{self.num_samples}, digest={self.digest[:12]})"

    @cached_property
    def digest(self) -> str:
        """Hex digest of epoch, ids in order and weights: equal on all ranks that agree."""
        head = f"{self.epoch}/{self.num_samples}/{len(self)}".encode()
        body = hashlib.blake2b(head, digest_size=16)
        body.update(self.ids.tobytes())
        body.update(self.weights.tobytes())
        return body.hexdigest()

    @cached_property
    def weight_of(self) -> NDArray[np.float32]:
        """float32, shape [N]: the weight by sample id, NaN for a sample outside the plan."""
        dense = np.full(self.num_samples, np.nan, dtype=np.float32)
        dense[self.ids] = self.weights
        return dense

    @property
    def pruned_ids(self) -> Ids:
        """int64, shape [N - k]: the ids that the epoch does not train, in increasing order."""
        return np.flatnonzero(np.isnan(self.weight_of))

    @cached_property
    def is_weighted(self) -> bool:
        """Whether any weight differs from 1."""
        return bool((self.weights != 1).any())

    # Overridden where the table is partitioned: see emprune.epoch.rank_plan.

    @property
    def count(self) -> int:
        """k, the samples that the epoch trains on all ranks."""
        return len(self)

    @property
    def own_count(self) -> int:
        """How many of the ids are no padding; that stands behind them."""
        return len(self)

    @property
    def row_weights(self) -> NDArray[np.float32]:
        """float32, shape [rows]: the weight of each row of this rank's score table, NaN outside the plan."""
        return self.weight_of

    @property
    def agreed(self) -> str:
        """What is equal on all ranks that agree."""
        return self.digest

    def weights_by_id(self) -> Weights:
        """The weights to look up in a step."""
        return Weights(self.weight_of)

    def rank_ids(self, start: int, batch_size: int, world: World, *, drop_last: bool) -> Ids:
        """int64, shape [M]: what a rank trains of the plan from position ``start`` on, in its order.

        Args:
            batch_size: samples of this rank in a step.
            drop_last: leave out a smaller last global batch.
        """
        mine = rank_positions(start, len(self), batch_size, world.size, world.rank, drop_last=drop_last)
        return self.ids[mine.positions]

    def rank_count(self, start: int, batch_size: int, world: World, *, drop_last: bool) -> int:
        """M of :meth:`rank_ids`."""
        return rank_count(len(self) - start, batch_size, world.size, drop_last=drop_last)

    def places(self, ids: Ids) -> Ids:
        """int64, shape [M]: a place below :attr:`num_places` for each id of the plan, the same for equal ids."""
        return ids

    @property
    def num_places(self) -> int:
        """How many different values :meth:`places` may have."""
        return self.num_samples

    def consumed_first(self, consumed_rows: NDArray[np.bool_], owned: RankSlice) -> tuple[EpochPlan, int]:
        """The plan with the consumed samples at its head, and how many these are; the rest keeps its order.

        Args:
            consumed_rows: bool, shape [rows], of this rank's rows. All ranks must call it.
        """
        done = self.done(consumed_rows, owned)
        places = np.argsort(~done, kind="stable")
        return replace(self, ids=self.ids[places], weights=self.weights[places]), int(np.count_nonzero(done))

    def done(self, consumed_rows: NDArray[np.bool_], owned: RankSlice) -> NDArray[np.bool_]:
        """bool, shape [len(ids)]: which of the ids are consumed; arguments as for :meth:`consumed_first`."""
        return consumed_rows[self.ids]

    def state_dict(self, consumed_rows: NDArray[np.bool_]) -> dict[str, Any]:
        """Flat tensors and JSON values from which the plan is restored, with the rows that have been consumed."""
        return {
            "plan.ids": torch.from_numpy(self.ids.copy()),
            "plan.weights": torch.from_numpy(self.weights.copy()),
        }


class Planner:
    """Makes plans where every rank holds the whole table: each makes the whole plan, the same one.

    Args:
        blocks: the order of training; None: every order is equally likely.
    """

    def __init__(self, blocks: Blocks | None = None) -> None:
        self.blocks = blocks

    def owned(self, num_samples: int, world: World) -> RankSlice:
        """The rows that a rank holds: all."""
        return RankSlice.whole(num_samples)

    def fingerprint(self, world: World) -> dict[str, str]:
        """What a state must agree on: nothing, since any number of ranks may go on with it."""
        return {}

    def check_batch_size(self, batch_size: int) -> None:
        """Any batch size will do."""

    def make(self, policy: Policy, request: Request) -> EpochPlan:
        """The epoch's plan; see :func:`make_plan`."""
        return make_plan(policy, request, self.blocks)

    def restore(
        self, state: Mapping[str, Any], epoch: int, owned: RankSlice, consumed: int
    ) -> tuple[EpochPlan, NDArray[np.bool_]]:
        """The plan saved by :meth:`EpochPlan.state_dict`, and the rows consumed: those of its first ids.

        Raises:
            StateError: a part is missing or does not fit.
        """
        ids, weights = arrays(state, "ids", "weights")
        num_samples = owned.num_samples
        fits = ids.dtype == np.int64 and weights.dtype == np.float32 and ids.shape == weights.shape == (ids.size,)
        if not fits or has_duplicates(ids) or (len(ids) and not 0 <= ids.min() <= ids.max() < num_samples):
            raise StateError(
                f"the plan has {ids.dtype} ids of shape {ids.shape} and {weights.dtype} weights of shape "
                f"{weights.shape}; allowed: distinct int64 ids from 0 to {num_samples - 1} and one float32 weight for "
                "each."
            )
        check_consumed(consumed, ids)
        consumed_rows = np.zeros(owned.size, dtype=bool)
        consumed_rows[ids[:consumed]] = True
        return EpochPlan(epoch, num_samples, ids, weights), consumed_rows


def make_plan(policy: Policy, request: Request, blocks: Blocks | None = None) -> EpochPlan:
    """Ask a policy for an epoch's samples, check the answer and shuffle it.

    A full epoch (k = N) is all the data, without asking.

    Args:
        blocks: the order of training; None: every order is equally likely.

    Raises:
        EmpruneError: the policy's answer is not k distinct ids in [0, N).
    """
    return shuffled(selected(policy, request), len(request.table), request.epoch, request.seed, blocks)


def shuffled(selection: Selection, num_samples: int, epoch: int, seed: int, blocks: Blocks | None = None) -> EpochPlan:
    """Put a selection into the epoch's random order."""
    rng = generator(seed, epoch, "order")
    places = blocks.places(selection.ids, num_samples, rng) if blocks else order(len(selection.ids), rng)
    weights = _weights_at(selection, places)
    look_up(selection.ids, places)
    return EpochPlan(epoch, num_samples, places, weights)


def _weights_at(selection: Selection, places: Ids) -> NDArray[np.float32]:
    """float32, shape [M]: the weights of the selection's samples at these places."""
    weights, head = selection.weights, selection.head
    if weights is None:
        return np.ones(len(places), dtype=np.float32)
    if 0 < head < len(weights):
        first, last = weights[0], weights[-1]
        if (weights[:head] == first).all() and (weights[head:] == last).all():
            # In sequence, instead of from all over the memory.
            found: NDArray[np.float32] = np.where(places < head, first, last)
            return found
    return weights.take(places)


def arrays(state: Mapping[str, Any], *names: str) -> list[NDArray[Any]]:
    """Copies of a plan's arrays in a state.

    Raises:
        StateError: one is missing, or no tensor.
    """
    missing = [f"plan.{name}" for name in names if f"plan.{name}" not in state]
    if missing:
        raise StateError(f"state is incomplete; it lacks {', '.join(missing)}.")
    return [array_of(f"plan.{name}", state[f"plan.{name}"]).copy() for name in names]


def check_consumed(consumed: int, ids: Ids) -> None:
    """Raise StateError unless a state's plan has as many ids as were consumed."""
    if consumed not in range(len(ids) + 1):
        raise StateError(f"the state has consumed {consumed} of {len(ids)} samples of its plan.")


def selected(policy: Policy, request: Request) -> Selection:
    """What a policy selects of the rows that this rank holds, checked; all of them in a full epoch.

    Raises:
        EmpruneError: as :func:`make_plan`.
    """
    owned = request.table.owned
    if request.k == owned.num_samples:
        policy.before_full_epoch(request)
        return Selection(np.arange(owned.size, dtype=np.int64))
    selection = policy.select(request)
    if not isinstance(selection, Selection):
        raise EmpruneError(
            f"policy {policy.name!r} returned {type(selection).__name__}; asked for a Selection. Fix its select()."
        )
    _check_selection(policy, selection, request.k, owned)
    return selection


def _check_selection(policy: Policy, selection: Selection, k: int, owned: RankSlice) -> None:
    ids: Any = selection.ids  # a user's policy may give anything
    weights, rows, fault = selection.weights, owned.size, None
    if not isinstance(ids, np.ndarray):
        fault = f"ids in a {type(ids).__name__}; allowed: an int64 array of shape [k]"
    elif ids.dtype != np.int64 or ids.ndim != 1:
        fault = f"ids of dtype {ids.dtype} and shape {ids.shape}; allowed: int64 of shape [k]"
    elif len(ids) and not 0 <= ids.min() <= ids.max() < rows:
        fault = f"ids from {ids.min()} to {ids.max()}; allowed: 0 to {rows - 1}"
    elif weights is not None and weights.shape != ids.shape:
        fault = f"weights of shape {weights.shape} for ids of shape {ids.shape}"
    elif weights is not None and not np.isfinite(weights).all():
        fault = f"{int(np.count_nonzero(~np.isfinite(weights)))} weights that are no finite numbers"
    else:
        chosen = np.zeros(rows, dtype=bool)
        chosen[ids] = True
        distinct = int(np.count_nonzero(chosen))
        if distinct != len(ids):
            fault = f"{len(ids) - distinct} repeated ids"
    # One rank must not raise alone, or else the others wait for it.
    totals = owned.counts(len(ids), int(fault is not None)).sum(axis=0)
    if not fault and totals[0] != (policy.epoch_size(owned.num_samples, k) or totals[0]):
        whose = "" if owned.is_whole else " on all ranks together, of a partitioned table: use the rules of the request"
        fault = f"{totals[0]} ids; asked for k = {k}{whose}"
    if fault or totals[1]:
        fault = fault or "a fault on another rank"
        raise EmpruneError(f"policy {policy.name!r} returned {fault}. Fix its select().")
