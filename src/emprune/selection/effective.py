"""How many samples are effectively drawn from, where each is drawn in proportion to its score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emprune.distributed.rank_slice import RankSlice


def effective_fraction(scores: NDArray[Any], owned: RankSlice | None = None) -> float:
    """The effective sample size (Kish 1965) of sampling in proportion to s, as a fraction of the n finite scores.

        ESS / n = (Σ s)² / (n·Σ s²)

    1 where all are equal, 1/n where one has everything. Scores below 0 count as 0. Sums are taken in float64; where
    the rows are partitioned their last bits depend on how.

    Args:
        scores: floating point, shape [rows]; those that are not finite are left out.
        owned: the rows of this rank; all ranks must call it. None: all rows are here.

    Returns:
        In [1/n, 1]; 0 where no score is above 0, NaN where none is finite.

    >>> effective_fraction(np.array([1.0, 1.0, 0.0, 0.0, np.nan]))
    0.5
    """
    values = np.maximum(scores[np.isfinite(scores)].astype(np.float64), 0)
    owned = owned or RankSlice.whole(len(scores))
    total, square, count = owned.sums(float(values.sum()), float(values @ values), len(values)).tolist()
    if not count:
        return float("nan")
    return min(1.0, total**2 / (count * square)) if square else 0.0
