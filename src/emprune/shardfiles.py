"""Where each rank of a sharded table keeps its state, and whether the ranks' files are of one moment."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emprune.errors import StateError
from emprune.shard import Shard


def shard_path(path: Path, shard: Shard) -> Path:
    """``PATH`` where one rank holds all rows, else ``PATH.rank-R-of-W``.

    >>> shard_path(Path("run.state"), Shard.whole(10)).name
    'run.state'
    """
    world = shard.world
    return path if shard.is_whole else path.with_name(f"{path.name}.rank-{world.rank}-of-{world.size}")


def check_ranks(path: Path, shard: Shard) -> None:
    """Raise StateError where this rank's file is missing, but those of another number of ranks are there."""
    own = shard_path(path, shard)
    if own.is_file():
        return
    found = {match[1] for file in path.parent.glob(f"{path.name}*") if (match := re.search(r"-of-(\d+)$", file.name))}
    if found - {str(shard.world.size)}:
        raise StateError(
            f"{path} was saved by {' or '.join(sorted(found))} ranks with a part of the table each, here are "
            f"{shard.world.size} rank(s). Start as many as there were, with the same shard_batch_size."
        )


def of_one_moment(
    state: dict[str, Any], shard: Shard, previous: Path | None, load: Callable[[Path], dict[str, Any]]
) -> dict[str, Any]:
    """The state, or the one before it on ranks that had saved when a kill came and others had not.

    Args:
        state: this rank's, loaded. All ranks must call it.
        previous: file of the one before; None: not asked for. load: reads it.

    Raises:
        StateError: the ranks' states are of different moments.
    """
    if shard.is_whole:
        return state
    moments = _moments(state, shard)
    if previous and len(set(moments)) > 1:
        if moments[shard.world.rank] > min(moments):
            try:
                state = load(previous)
            except StateError:
                state = {}  # told below on every rank, lest the others wait for this one
        moments = _moments(state, shard)
    if len(set(moments)) > 1:
        told = ", ".join(f"rank {rank} epoch {epoch} step {step}" for rank, (epoch, step) in enumerate(moments))
        raise StateError(
            f"the ranks' states are of different moments: {told}. A kill came between their saves; "
            "fall_back=True takes the one before where a rank was ahead. Restore the model of that moment."
        )
    return state


def _moments(state: dict[str, Any], shard: Shard) -> list[tuple[int, int]]:
    counters = state.get("counters", {})
    here = shard.counts(counters.get("epoch", -1), counters.get("steps", -1))
    return [(int(epoch), int(step)) for epoch, step in here]
