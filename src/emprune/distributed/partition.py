"""How an epoch's plan is partitioned among the ranks: integer arithmetic, without any collective.

A *global batch* is what all ranks train in one step: ``batch_size`` samples on each of ``world_size`` ranks. Step s
trains the plan's positions s·G to (s+1)·G with G = batch_size·world_size, rank r the r-th batch of them. So the global
batches depend on G alone, and a run may go on with another number of ranks where G stays the same.

The last global batch may hold only m < G samples. Every rank must get as many batches as the others, or else a
collective of the training would deadlock:

- By default every rank gets ceil(m / world_size) of it. Where that is more than there are, it is padded with the plan's
  first samples, as DistributedSampler does; this *padding* is trained but neither counted nor scored a second time.
- With ``drop_last`` it is left out, on all ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emprune.errors import ArgumentError


@dataclass(frozen=True)
class RankPositions:
    """What one rank trains of an epoch.

    Attributes:
        positions: int64, shape [M], in the plan, in the rank's order; M is the same on every rank.
        padding: how many of the last positions repeat what another step or rank trains.
    """

    positions: NDArray[np.int64]
    padding: int


def num_steps(count: int, batch_size: int, world_size: int, *, drop_last: bool = False) -> int:
    """Steps of an epoch that has ``count`` samples left; the same on every rank.

    >>> num_steps(10, 2, world_size=2), num_steps(10, 2, world_size=2, drop_last=True)
    (3, 2)
    """
    global_batch = batch_size * world_size
    return count // global_batch if drop_last else -(-count // global_batch)


def rank_count(count: int, batch_size: int, world_size: int, *, drop_last: bool = False) -> int:
    """Samples that each rank trains of ``count`` that are left, padding included.

    >>> rank_count(7, 2, world_size=2), rank_count(7, 2, world_size=2, drop_last=True)
    (4, 2)
    """
    full, left = divmod(count, batch_size * world_size)
    return full * batch_size + (0 if drop_last else -(-left // world_size))


def rank_positions(
    start: int, end: int, batch_size: int, world_size: int, rank: int, *, drop_last: bool = False
) -> RankPositions:
    """One rank's share of the plan's positions from ``start`` to ``end``.

    Args:
        start: where the epoch goes on; 0 at its beginning.
        end: number of samples of the plan.
        batch_size: samples of a rank in one step.
        rank: from 0 to world_size - 1.
        drop_last: leave out a smaller last global batch.

    Raises:
        ArgumentError: a number is out of range.

    >>> [rank_positions(0, 7, 2, world_size=2, rank=r).positions.tolist() for r in (0, 1)]
    [[0, 1, 4, 5], [2, 3, 6, 0]]
    """
    _check(start, end, batch_size, world_size, rank)
    global_batch = batch_size * world_size
    full = (end - start) // global_batch
    steps = start + global_batch * np.arange(full, dtype=np.int64)[:, None]
    positions = (steps + rank * batch_size + np.arange(batch_size)).reshape(-1)
    left = end - start - full * global_batch
    if drop_last or not left:
        return RankPositions(positions, 0)
    share = -(-left // world_size)
    tail = end - left + rank * share + np.arange(share, dtype=np.int64)
    padding = int(np.count_nonzero(tail >= end))
    # Modulo the plan: with fewer samples than ranks the same ones serve several times.
    tail[tail >= end] = (tail[tail >= end] - end) % end
    return RankPositions(np.concatenate([positions, tail]), padding)


def _check(start: int, end: int, batch_size: int, world_size: int, rank: int) -> None:
    if world_size < 1:
        raise ArgumentError("world_size", world_size, "an integer of at least 1")
    if not 0 <= rank < world_size:
        raise ArgumentError("rank", rank, f"an integer from 0 to {world_size - 1}, below the world size")
    if batch_size < 1:
        raise ArgumentError("batch_size", batch_size, "an integer of at least 1")
    if not 0 <= start <= end:
        raise ArgumentError("start", start, f"an integer from 0 to {end}, the samples of the plan")
