"""Who is trained when: coverage before repetition, and rates that change over the run at an equal total."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emprune import Policy
from emprune.policies import Request
from emprune.selection import Selection


class CoveredRandom(Policy):
    """Samples never trained, then a uniform part of the others: dynamic random that covers the set first."""

    name = "covered-random"
    source = "this project"

    def select(self, request: Request) -> Selection:
        return request.sample(request.table.rank(np.ones(request.num_samples, dtype=np.float32), "first"), gamma=1.0)


def sloped_counts(kept: Sequence[int], begin: float, end: float, unit: int = 1) -> list[int]:
    """Samples of each epoch, from ``begin`` times their mean to ``end`` times it on a line, and as many in all.

    Args:
        kept: samples of each epoch at the constant rate, their sum S.
        begin, end: at least 0, their mean 1.
        unit: counts are multiples of it, but the last: a batch's size, since one of a few samples would have a
            full step.

    Returns:
        E counts that sum to S.

    >>> sloped_counts([10, 10, 10], 1.5, 0.5), sloped_counts([10, 10, 10], 1.5, 0.5, unit=4)
    ([15, 10, 5], [16, 8, 6])
    """
    total = sum(kept)
    ends = np.cumsum(np.linspace(begin, end, len(kept)))
    rounded = np.rint(ends / ends[-1] * total / unit).astype(int) * unit
    rounded[-1] = total
    return [int(count) for count in np.diff(rounded, prepend=0)]
