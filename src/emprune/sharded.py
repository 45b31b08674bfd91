"""An epoch's plan where no rank holds the whole table: what a rank trains, and what is trained of its rows.

A rank asks the owners for the ids and weights at its own places of the epoch's order: 8 bytes up and 12 down for each
sample that it trains. All ranks' plans together, dealt as :mod:`emprune.ranks` says, are the plan that one rank with
all the rows would make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.errors import ArgumentError, StateError
from emprune.ordering import order
from emprune.plan import EpochPlan, selected
from emprune.policies.base import Policy, Request
from emprune.ranks import Part, part_of
from emprune.seeding import generator
from emprune.selection import Selection
from emprune.shard import Shard

Ids = NDArray[np.int64]

_ANSWER = np.dtype([("id", np.int64), ("weight", np.float32)])


@dataclass(frozen=True, eq=False)
class ShardPlan(EpochPlan):
    """A rank's part of an epoch's plan: ``ids`` and ``weights`` are those that it trains, in its order.

    Attributes:
        total: k, the samples that all ranks train.
        rows: float32, shape [rows]: the weight of each of the shard's rows, NaN outside the plan, whoever trains it.
        repeats: how many of the last ids fill up the last global batch; see :mod:`emprune.ranks`.
    """

    total: int
    rows: NDArray[np.float32]
    repeats: int

    @property
    def count(self) -> int:
        return self.total

    @property
    def row_weights(self) -> NDArray[np.float32]:
        return self.rows


def make_shard_plan(policy: Policy, request: Request, batch_size: int) -> ShardPlan:
    """A rank's part of the epoch's plan; all ranks must call it.

    Args:
        batch_size: samples of a rank in a step.

    Raises:
        EmpruneError: as :func:`emprune.plan.make_plan`.
    """
    shard = request.shard
    selection = selected(policy, request)
    tail = len(selection.ids) - selection.head
    counts = shard.counts(selection.head, tail)
    total = int(counts.sum())
    part = part_of(0, total, batch_size, shard.world.size, shard.world.rank)
    places = order(total, generator(request.seed, request.epoch, "order"), part.positions)
    ids, weights = _asked_for(places, selection, counts, shard)
    rows = np.full(shard.rows, np.nan, dtype=np.float32)
    rows[selection.ids] = 1 if selection.weights is None else selection.weights
    return ShardPlan(request.epoch, shard.num_samples, ids, weights, total, rows, part.repeats)


def _asked_for(
    places: Ids, selection: Selection, counts: NDArray[np.int64], shard: Shard
) -> tuple[Ids, NDArray[np.float32]]:
    """Ids and weights of selected samples.

    Args:
        places: int64, shape [M], in all ranks' selections put together: their heads, then their tails.
        counts: int64, shape [ranks, 2]: sizes of each rank's head and tail.
    """
    ranks, sizes = shard.world.size, counts.T.reshape(-1)
    ends = np.cumsum(sizes)
    segment = np.searchsorted(ends, places, side="right")
    owner = segment % ranks
    there = places - (ends - sizes)[segment] + np.where(segment < ranks, 0, counts[owner, 0])

    def answer(asked: Ids) -> NDArray[np.void]:
        answers = np.ones(len(asked), dtype=_ANSWER)
        answers["id"] = shard.begin + selection.ids[asked]
        if selection.weights is not None:
            answers["weight"] = selection.weights[asked]
        return answers

    found = shard.ask(owner, there, answer)
    return found["id"].copy(), found["weight"].copy()


def own_part(
    plan: EpochPlan, start: int, batch_size: int, planned_for: int | None, ranks: int, *, drop_last: bool
) -> Part:
    """What a rank trains of its own plan, from ``start`` on.

    Args:
        batch_size: of the loader; must be ``planned_for``, which the plan was dealt out by.

    Raises:
        ArgumentError: it is another.
    """
    if batch_size != planned_for:
        raise ArgumentError("batch_size", batch_size, f"{planned_for}, the pruner's shard_batch_size")
    whole = batch_size * ranks
    end = plan.count // whole * batch_size if drop_last else len(plan)
    places = np.arange(start, max(start, end), dtype=np.int64)
    return Part(places, 0 if drop_last or not isinstance(plan, ShardPlan) else plan.repeats)


def reported_first(plan: ShardPlan, reported: NDArray[np.bool_], shard: Shard) -> tuple[ShardPlan, int]:
    """The rank's plan with the samples that any rank has reported at its head, and how many these are.

    Args:
        reported: bool, shape [rows], of the shard's rows. All ranks must call it.

    Raises:
        StateError: the ranks have different numbers of samples left.
    """
    done = shard.ask(shard.owner(plan.ids), plan.ids, lambda asked: reported[asked - shard.begin])
    # What fills up the last global batch stands at the plan's head as well, and was reported there.
    own = len(plan) - plan.repeats
    done[own:] = shard.total(int(np.count_nonzero(~done[:own]))) == 0
    left = shard.counts(int(np.count_nonzero(~done)))[:, 0]
    if len(set(left.tolist())) > 1:
        raise StateError(
            f"the ranks have {left.tolist()} samples of epoch {plan.epoch} left; with a sharded table a state can be "
            "saved where all ranks have done the same steps. Save it after a step that all of them took."
        )
    places = np.argsort(~done, kind="stable")
    return replace(plan, ids=plan.ids[places], weights=plan.weights[places]), int(np.count_nonzero(done))


def shard_state(plan: ShardPlan, reported: NDArray[np.bool_]) -> dict[str, Any]:
    """What a state holds of a running epoch beside the plan's ids and weights; see :func:`restored_plan`."""
    return {
        "plan.rows": torch.from_numpy(plan.rows.copy()),
        "plan.reported": torch.from_numpy(reported.copy()),
        "plan.shares": {"total": plan.total, "repeats": plan.repeats},
    }


def restored_plan(state: Mapping[str, Any], epoch: int, shard: Shard) -> tuple[ShardPlan, NDArray[np.bool_]] | None:
    """The plan that was taken apart with :func:`shard_state`, and the rows reported; None where no epoch was running.

    Raises:
        StateError: a part is missing or does not fit the shard.
    """
    if "plan.ids" not in state:
        return None
    missing = {"plan.weights", "plan.rows", "plan.reported", "plan.shares"} - set(state)
    if missing:
        raise StateError(f"state is incomplete; it lacks {', '.join(sorted(missing))}.")
    ids, weights, rows, reported = (
        state[f"plan.{name}"].cpu().numpy().copy() for name in ("ids", "weights", "rows", "reported")
    )
    fits = ids.dtype == np.int64 and weights.dtype == rows.dtype == np.float32 and reported.dtype == bool
    fits = fits and ids.shape == weights.shape == (len(ids),) and rows.shape == reported.shape == (shard.rows,)
    if not fits or (len(ids) and not 0 <= ids.min() <= ids.max() < shard.num_samples):
        raise StateError(
            f"the plan has {ids.dtype} ids of shape {ids.shape}, and {rows.dtype} weights of rows of shape "
            f"{rows.shape}; allowed: int64 ids from 0 to {shard.num_samples - 1} and one weight for each of "
            f"{shard.rows} rows."
        )
    shares = state["plan.shares"]
    return ShardPlan(epoch, shard.num_samples, ids, weights, shares["total"], rows, shares["repeats"]), reported
