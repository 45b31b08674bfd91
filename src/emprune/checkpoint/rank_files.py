"""Where each rank of a partitioned table keeps its state, and whether the ranks' files are from the same step."""

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


def consistent_state(
    state: dict[str, Any], owned: RankSlice, previous: Path | None, load: Callable[[Path], dict[str, Any]]
) -> dict[str, Any]:
    """The state, or the one before it on ranks that had saved when a kill came and others had not.

    Args:
        state: this rank's, loaded. All ranks must call it.
        previous: file of the one before; None: not asked for.
        load: reads it.

    Raises:
        StateError: the ranks' states are from different steps.
    """
    if owned.is_whole:
        return state
    steps = _steps(state, owned)
    if previous and len(set(steps)) > 1:
        if steps[owned.world.rank] > min(steps):
            try:
                state = load(previous)
            except StateError:
                state = {}  # raises below, on every rank; the others wait for this one otherwise
        steps = _steps(state, owned)
    if len(set(steps)) > 1:
        shown = ", ".join(f"rank {rank} epoch {epoch} step {step}" for rank, (epoch, step) in enumerate(steps))
        raise StateError(
            f"the ranks' states are from different steps: {shown}. A kill came between their saves; fall_back=True "
            "takes the previous state where a rank was ahead. Restore the model of the same step."
        )
    return state


def _steps(state: dict[str, Any], owned: RankSlice) -> list[tuple[int, int]]:
    counters = state.get("counters", {})
    here = owned.counts(counters.get("epoch", -1), counters.get("steps", -1))
    return [(int(epoch), int(step)) for epoch, step in here]
