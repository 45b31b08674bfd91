"""The exchange of an epoch's observations among the ranks: once, in the order in which they were made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from emprune.distributed.rank_slice import RankSlice
from emprune.distributed.world import World, places_by_rank
from emprune.table import Observations, has_duplicates


def exchange(local: Observations, owned: RankSlice, world: World) -> Observations:
    """All ranks' observations of the rows that this rank holds, in the order in which they were made.

    That is by step, then by rank. They travel as structs of 26 bytes, 4 more for each further value that the policy
    reads, in which an id keeps its 8.

    Args:
        owned: the rows of this rank; where each rank holds all, everything goes to all.
    """
    if world.size == 1:
        return local
    columns = local.columns()
    sent = np.empty(len(local.ids), dtype=[(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        sent[name] = column
    if owned.is_whole:
        parts = world.all_gather(sent)
    else:
        parts = world.all_to_all([sent[places] for places in places_by_rank(owned.owner(local.ids), world.size)])
    rows = np.concatenate(parts)  # by rank: a stable order by step keeps that
    order = np.argsort(rows["step"], kind="stable")
    return Observations.of(**{name: rows[name][order] for name in columns})


def last_passes(seen: Observations) -> Observations:
    """Of several training observations of a sample the last alone, which counts as trained if one of them did.

    They come from several passes over a batch, or over a part of it, by one rank.
    """
    steps = np.flatnonzero(seen.is_train_step)
    if not has_duplicates(seen.ids[steps]):
        return seen
    steps = steps[np.argsort(seen.ids[steps], kind="stable")]
    ids = seen.ids[steps]
    begins = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
    last = steps[np.append(begins[1:], len(steps)) - 1]
    trained = seen.trained.copy()
    trained[last] = np.logical_or.reduceat(seen.trained[steps], begins)
    kept = np.sort(np.concatenate([np.flatnonzero(~seen.is_train_step), last]))
    return replace(seen, trained=trained).take(kept)


def deduplicated(seen: Observations, consumed_rows: NDArray[np.bool_], *, in_batch: bool) -> Observations:
    """Drop training observations of samples that the epoch has consumed already: the first one counts.

    They come from the padding of a last global batch, or from the same id on two ranks.

    Args:
        consumed_rows: bool, shape [rows]: rows consumed before these observations.
        in_batch: keep those that went through backward, since a batch's share of the budget was spent on them.
    """
    steps = np.flatnonzero(seen.is_train_step)
    ids = seen.ids[steps]
    place = np.empty(len(consumed_rows), dtype=np.int64)  # only places of these ids are written and read
    place[ids[::-1]] = steps[::-1]
    first = np.zeros(len(seen.ids), dtype=bool)
    first[steps] = place[ids] == steps
    kept = ~seen.is_train_step | (first & ~consumed_rows[seen.ids])
    kept = kept | seen.trained if in_batch else kept
    return seen if kept.all() else seen.take(np.flatnonzero(kept))
