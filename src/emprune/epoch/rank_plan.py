"""An epoch's plan of a partitioned table: what a rank trains, and what is trained of its rows.

A rank asks the owners for the ids and weights at its own positions of the epoch's order: 8 bytes up and 12 down for
each sample that it trains. All ranks' plans together, partitioned as by :mod:`emprune.distributed.partition`, are the
plan that one rank with all the rows would make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.checks import check_batch_size
from emprune.distributed.partition import rank_positions
from emprune.distributed.rank_slice import RankSlice
from emprune.distributed.world import World
from emprune.epoch.plan import EpochPlan, Ids, Planner, arrays, check_consumed, selected
from emprune.epoch.weights import SparseWeights, Weights
from emprune.errors import ArgumentError, StateError
from emprune.policies import partitionable
from emprune.policies.base import Policy, Request
from emprune.seeding import generator
from emprune.selection import Selection
from emprune.selection.blocks import Blocks
from emprune.selection.permutation import order
from emprune.table import has_duplicates

_ANSWER = np.dtype([("id", np.int64), ("weight", np.float32)])


@dataclass(frozen=True, eq=False)
class RankPlan(EpochPlan):
    """A rank's partition of an epoch's plan: ``ids`` and ``weights`` are those that it trains, in its order.

    Attributes:
        total: k, the samples that all ranks train.
        own_weights: float32, shape [rows]: the weight of each row of this rank, NaN outside the plan, whichever rank
            trains it.
        padding: how many of the last ids pad the last global batch; see :mod:`emprune.distributed.partition`.
    """

    total: int
    own_weights: NDArray[np.float32]
    padding: int

    @property
    def count(self) -> int:
        return self.total

    @property
    def own_count(self) -> int:
        return len(self) - self.padding

    @property
    def row_weights(self) -> NDArray[np.float32]:
        return self.own_weights

    @property
    def agreed(self) -> str:
        return f"{self.total} samples"

    def weights_by_id(self) -> Weights:
        return SparseWeights(self.ids, self.weights)

    def rank_ids(self, start: int, batch_size: int, world: World, *, drop_last: bool) -> Ids:
        end = self.total // (batch_size * world.size) * batch_size if drop_last else len(self)
        return self.ids[start : max(start, end)]

    def rank_count(self, start: int, batch_size: int, world: World, *, drop_last: bool) -> int:
        return len(self.rank_ids(start, batch_size, world, drop_last=drop_last))

    def places(self, ids: Ids) -> Ids:
        return np.searchsorted(self._ordered, ids).clip(max=max(0, len(self._ordered) - 1))

    @property
    def num_places(self) -> int:
        return len(self._ordered)

    @cached_property
    def _ordered(self) -> Ids:
        return np.unique(self.ids)

    def consumed_first(self, consumed_rows: NDArray[np.bool_], owned: RankSlice) -> tuple[EpochPlan, int]:
        """As :meth:`EpochPlan.consumed_first`, of the rank's partition.

        Raises:
            StateError: the ranks have different numbers of samples left.
        """
        done = self.done(consumed_rows, owned)
        # What pads the last global batch stands at the plan's head as well, and was consumed there.
        own = self.own_count
        done[own:] = owned.total(int(np.count_nonzero(~done[:own]))) == 0
        left = owned.counts(int(np.count_nonzero(~done)))[:, 0]
        if len(set(left.tolist())) > 1:
            raise StateError(
                f"the ranks have {left.tolist()} samples of epoch {self.epoch} left; with a partitioned table a state "
                "can be saved where all ranks have done the same steps. Save it after a step that all of them took."
            )
        places = np.argsort(~done, kind="stable")
        return replace(self, ids=self.ids[places], weights=self.weights[places]), int(np.count_nonzero(done))

    def done(self, consumed_rows: NDArray[np.bool_], owned: RankSlice) -> NDArray[np.bool_]:
        return owned.ask(owned.owner(self.ids), self.ids, lambda asked: consumed_rows[asked - owned.begin])

    def state_dict(self, consumed_rows: NDArray[np.bool_]) -> dict[str, Any]:
        return {
            **super().state_dict(consumed_rows),
            "plan.rows": torch.from_numpy(self.own_weights.copy()),
            "plan.reported": torch.from_numpy(consumed_rows.copy()),
            "plan.shares": {"total": self.total, "repeats": self.padding},
        }


class PartitionedPlanner(Planner):
    """Makes plans where the table is partitioned: all ranks together, each its own partition.

    Args:
        batch_size: samples of a rank in a step.

    Raises:
        ArgumentError: it is below 1.
    """

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = check_batch_size(batch_size)

    def owned(self, num_samples: int, world: World) -> RankSlice:
        """The rows that a rank holds."""
        return RankSlice.of(num_samples, world)

    def fingerprint(self, world: World) -> dict[str, str]:
        """What a state must agree on: as many ranks must go on with it, each with its own partition."""
        return {"ranks": f"{world.size} of batch size {self.batch_size}"}

    def check_batch_size(self, batch_size: int) -> None:
        """Raise ArgumentError unless a loader's batch size is that which plans are made for."""
        if batch_size != self.batch_size:
            raise ArgumentError("batch_size", batch_size, f"{self.batch_size}, the pruner's partition_batch_size")

    def make(self, policy: Policy, request: Request) -> RankPlan:
        """A rank's partition of the epoch's plan; all ranks must call it.

        Raises:
            EmpruneError: as :func:`emprune.epoch.plan.make_plan`.
        """
        owned = request.table.owned
        selection = selected(policy, request)
        counts = owned.counts(selection.head, len(selection.ids) - selection.head)
        total = int(counts.sum())
        mine = rank_positions(0, total, self.batch_size, owned.world.size, owned.world.rank)
        places = order(total, generator(request.seed, request.epoch, "order"), mine.positions)
        ids, weights = _asked_for(places, selection, counts, owned)
        own_weights = np.full(owned.size, np.nan, dtype=np.float32)
        own_weights[selection.ids] = 1 if selection.weights is None else selection.weights
        return RankPlan(request.epoch, owned.num_samples, ids, weights, total, own_weights, mine.padding)

    def restore(
        self, state: Mapping[str, Any], epoch: int, owned: RankSlice, consumed: int
    ) -> tuple[EpochPlan, NDArray[np.bool_]]:
        """The plan saved by :meth:`RankPlan.state_dict`, and the rows consumed.

        Raises:
            StateError: a part is missing or does not fit the rank.
        """
        ids, weights, rows, consumed_rows = arrays(state, "ids", "weights", "rows", "reported")
        shares = state.get("plan.shares")
        if not isinstance(shares, Mapping) or not all(type(shares.get(name)) is int for name in ("total", "repeats")):
            raise StateError(f"plan.shares is {shares!r}; allowed: whole numbers 'total' and 'repeats'.")
        total, padding = shares["total"], shares["repeats"]
        fits = ids.dtype == np.int64 and weights.dtype == rows.dtype == np.float32 and consumed_rows.dtype == bool
        fits = fits and ids.shape == weights.shape == (ids.size,) and rows.shape == consumed_rows.shape == (owned.size,)
        if not fits or (len(ids) and not 0 <= ids.min() <= ids.max() < owned.num_samples):
            raise StateError(
                f"the plan has {ids.dtype} ids of shape {ids.shape}, and {rows.dtype} weights of rows of shape "
                f"{rows.shape}; allowed: int64 ids from 0 to {owned.num_samples - 1} and one weight for each of "
                f"{owned.size} rows."
            )
        check_consumed(consumed, ids)
        ranks = owned.world.size
        if not 0 <= padding <= len(ids) or not 0 <= total <= owned.num_samples or len(ids) != -(-total // ranks):
            raise StateError(
                f"the plan of this rank has {len(ids)} ids, {padding} of them padding, and all {ranks} ranks {total}; "
                f"allowed: an equal part of at most {owned.num_samples} samples for each rank, padding included."
            )
        if has_duplicates(ids[: len(ids) - padding]):
            raise StateError("the plan of this rank has an id twice; allowed: distinct ids beside its padding.")
        return RankPlan(epoch, owned.num_samples, ids, weights, total, rows, padding), consumed_rows


def planner_for(
    policy: Policy, world: World, partition_batch_size: int | None, blocks: Blocks | None = None
) -> Planner:
    """The planner of a run; one rank holds the whole table, whether or not it asks for a partition.

    Raises:
        ArgumentError: the batch size is below 1, or the policy, or the order of training, needs the whole table.
    """
    if partition_batch_size is None:
        return Planner(blocks)
    partitioned = PartitionedPlanner(partition_batch_size)
    if not policy.partitionable:
        raise ArgumentError(
            "policy", policy.name, "one that works on a partitioned table: " + ", ".join(partitionable()),
            "Or leave out partition_batch_size: then each rank holds all scores, in 16 bytes a sample.",
        )  # fmt: skip
    if blocks is not None and world.size > 1:
        raise ArgumentError(
            "order", blocks, "None with partition_batch_size",
            "Leave partition_batch_size out: each rank then holds all scores, in 16 bytes a sample.",
        )  # fmt: skip
    return partitioned if world.size > 1 else Planner(blocks)


def _asked_for(
    places: Ids, selection: Selection, counts: NDArray[np.int64], owned: RankSlice
) -> tuple[Ids, NDArray[np.float32]]:
    """Ids and weights of selected samples.

    Args:
        places: int64, shape [M], in all ranks' selections put together: their heads, then their tails.
        counts: int64, shape [ranks, 2]: sizes of each rank's head and tail.
    """
    ranks, sizes = owned.world.size, counts.T.reshape(-1)
    ends = np.cumsum(sizes)
    segment = np.searchsorted(ends, places, side="right")
    owner = segment % ranks
    there = places - (ends - sizes)[segment] + np.where(segment < ranks, 0, counts[owner, 0])

    def answer(asked: Ids) -> NDArray[np.void]:
        answers = np.ones(len(asked), dtype=_ANSWER)
        answers["id"] = owned.begin + selection.ids[asked]
        if selection.weights is not None:
            answers["weight"] = selection.weights[asked]
        return answers

    found = owned.ask(owner, there, answer)
    return found["id"].copy(), found["weight"].copy()
