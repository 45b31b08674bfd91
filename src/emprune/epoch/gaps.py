"""What an epoch that ends has left out, and what that says of its loader: dealt out twice, or skipped twice.

Every rank's loader gives that rank its part of the plan, from where a restored epoch goes on. Whoever wraps it and
partitions its batches once more, or skips what was trained before the restart once more, trains less than the plan
holds, and no rank could see that in a step. It shows at the end, by where the gaps are. An epoch that was left early
has none: what it trained is the plan's head.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def dealt_twice(done: NDArray[np.bool_], ranks: int, batch: int) -> bool:
    """Whether one in ``ranks`` samples was trained, up to a batch, with gaps between them and up to the end.

    Not said of so few steps that a few samples of one's own choice would look the same.

    Args:
        done: bool, shape [k]: which samples were trained, in the order of the plan, or of a rank's part of it.
        batch: samples of a step in that order.

    >>> dealt_twice(np.array([1, 1, 0, 0, 1, 1, 0, 0], dtype=bool), ranks=2, batch=2)
    True
    >>> dealt_twice(np.array([1, 1, 1, 1, 0, 0, 0, 0], dtype=bool), ranks=2, batch=2)
    False
    """
    trained, gaps = _trained_and_gaps(done)
    size, expected = len(done), (trained + gaps) * (ranks - 1) // ranks
    if ranks == 1 or not 0 < batch * ranks <= size:
        return False
    least = size // batch // ranks * batch
    to_the_end = trained + gaps >= size - batch * ranks
    return to_the_end and least <= trained <= least + 2 * batch and gaps >= max(1, expected - batch)


def skipped_twice(done: NDArray[np.bool_], start: int) -> int:
    """How many samples were skipped where a restored epoch went on; 0 unless that is its only gap.

    Args:
        start: position in the plan where it went on.

    >>> skipped_twice(np.array([1, 1, 0, 0, 1, 1], dtype=bool), start=2)
    2
    """
    trained, gaps = _trained_and_gaps(done[start:])
    if not start or not trained or not gaps:
        return 0
    return gaps if not done[start : start + gaps].any() else 0


def _trained_and_gaps(done: NDArray[np.bool_]) -> tuple[int, int]:
    """How many are done, and how many before the last of these are not."""
    places = np.flatnonzero(done)
    return len(places), int(places[-1]) + 1 - len(places) if len(places) else 0
