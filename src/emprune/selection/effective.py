"""How many samples are effectively drawn from, where each is drawn in proportion to its score."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emprune.distributed.rank_slice import RankSlice


def effective_fraction(parts: Iterable[NDArray[Any]], owned: RankSlice | None = None) -> float:
    """The effective sample size (Kish 1965) of sampling in proportion to s, as a fraction of the n finite scores.

        ESS / n = (Σ s)² / (n·Σ s²)

    1 where all are equal, 1/n where one has everything. Scores below 0 count as 0. Sums are taken in float64; their
    last bits depend on the parts, and on how a table is partitioned.

    Args:
        parts: the scores of this rank's rows, in arrays of floating point; those that are not finite are left out.
        owned: these rows; all ranks must call it. None: there are no others.

    Returns:
        In [1/n, 1]; 0 where no score is above 0, NaN where none is finite.

    >>> effective_fraction([np.array([1.0, 1.0, 0.0, 0.0, np.nan])])
    0.5
    """
    total, square, count = 0.0, 0.0, 0
    for scores in parts:
        values = np.maximum(scores[np.isfinite(scores)].astype(np.float64), 0)
        total, square, count = total + float(values.sum()), square + float(values @ values), count + len(values)
    total, square, count = (owned or RankSlice.whole(0)).sums(total, square, count).tolist()
    if not count:
        return float("nan")
    return min(1.0, total**2 / (count * square)) if square else 0.0
