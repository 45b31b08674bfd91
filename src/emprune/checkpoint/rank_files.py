"""Where each rank of a partitioned table keeps its state, and whether the ranks' files are of one moment."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emprune.distributed.rank_slice import RankSlice
from emprune.errors import StateError


def rank_path(path: Path, owned: RankSlice) -> Path:
    """``PATH`` where one rank holds all rows, else ``PATH.rank-R-of-W``.

    >>> rank_path(Path("run.state"), RankSlice.whole(10)).name
    'run.state'
    """
    world = owned.world
    return path if owned.is_whole else path.with_name(f"{path.name}.rank-{world.rank}-of-{world.size}")


def check_ranks(path: Path, owned: RankSlice) -> None:
    """Raise StateError where this rank's file is missing, but those of another number of ranks are there."""
    own = rank_path(path, owned)
    if own.is_file():
        return
    found = {match[1] for file in path.parent.glob(f"{path.name}*") if (match := re.search(r"-of-(\d+)$", file.name))}
    if found - {str(owned.world.size)}:
        raise StateError(
            f"{path} was saved by {' or '.join(sorted(found))} ranks with a part of the table each, here are "
            f"{owned.world.size} rank(s). Start as many as there were, with the same partition_batch_size."
        )


def of_one_moment(
    state: dict[str, Any], owned: RankSlice, previous: Path | None, load: Callable[[Path], dict[str, Any]]
) -> dict[str, Any]:
    """The state, or the one before it on ranks that had saved when a kill came and others had not.

    Args:
        state: this rank's, loaded. All ranks must call it.
        previous: file of the one before; None: not asked for. load: reads it.

    Raises:
        StateError: the ranks' states are of different moments.
    """
    if owned.is_whole:
        return state
    moments = _moments(state, owned)
    if previous and len(set(moments)) > 1:
        if moments[owned.world.rank] > min(moments):
            try:
                state = load(previous)
            except StateError:
                state = {}  # told below on every rank; the others wait for this one otherwise
        moments = _moments(state, owned)
    if len(set(moments)) > 1:
        told = ", ".join(f"rank {rank} epoch {epoch} step {step}" for rank, (epoch, step) in enumerate(moments))
        raise StateError(
            f"the ranks' states are of different moments: {told}. A kill came between their saves; "
            "fall_back=True takes the one before where a rank was ahead. Restore the model of that moment."
        )
    return state


def _moments(state: dict[str, Any], owned: RankSlice) -> list[tuple[int, int]]:
    counters = state.get("counters", {})
    here = owned.counts(counters.get("epoch", -1), counters.get("steps", -1))
    return [(int(epoch), int(step)) for epoch, step in here]
