"""Statistics over seeds with their 95 % intervals, which hold at few seeds; where none does, none is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

_UPPER = 0.975
_SAME = 1e-9
"""Values that differ by less, relative to their size, differ by rounding alone."""
LEAST_SEEDS_OF_A_GAP = 4
"""A quotient's interval is given where the gap is significant; of fewer seeds these are too often the lucky ones, see
``python -m studies.intervals``."""


@dataclass(frozen=True)
class Estimate:
    """A statistic over seeds.

    Attributes:
        value: the statistic of all seeds.
        low, high: its 95 % interval; None where there is none.
        count: number of seeds.
    """

    value: float
    low: float | None
    high: float | None
    count: int

    @property
    def half_width(self) -> float | None:
        """Half of the interval's length."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def ends(self) -> tuple[float, float]:
        """The interval, or the value twice where there is none."""
        return (self.value, self.value) if self.low is None or self.high is None else (self.low, self.high)

    @property
    def sign(self) -> int:
        """+1 or −1 where the statistic is significantly above or below zero, else 0; 0 without an interval."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


def mean(values: ArrayLike) -> Estimate:
    """Mean over seeds with its 95 % interval: mean ± t·s/√n, with t the 97.5 % point of Student's t at n - 1.

    It is exact for normal values. One seed has none, nor have seeds that agree to the last digit: of a measure with few
    steps, two seeds do so by chance, and an interval of no length would claim certainty.

    Args:
        values: shape [n], n ≥ 1, one a seed.
    """
    column = np.asarray(values, dtype=np.float64)
    centre, count = float(np.mean(column)), len(column)
    if count < 2 or agree(column):
        return Estimate(centre, None, None, count)
    half = student_t(count) * float(np.std(column, ddof=1)) / count**0.5
    return Estimate(centre, centre - half, centre + half, count)


def paired_difference(values: ArrayLike, reference: ArrayLike) -> Estimate:
    """Mean of the differences seed by seed: seeds share weights and label noise, so most of the noise cancels.

    Args:
        values, reference: shape [n], entry i of both from the same seed.
    """
    return mean(np.asarray(values, dtype=np.float64) - np.asarray(reference, dtype=np.float64))


def gap_closed(values: ArrayLike, random: ArrayLike, full: ArrayLike) -> Estimate | None:
    """(value - random) / (full - random) of the means: 0 is no better than random, 1 is as good as full.

    The interval is Fieller's (1954), of a quotient of two means of paired, normal values: all ρ for which the mean of
    (value - random) - ρ·(full - random) does not differ significantly from zero. That set is exact at every number of
    seeds, but an interval only where the gap itself is significant; there is none elsewhere, and none of fewer than
    LEAST_SEEDS_OF_A_GAP seeds.

    Args:
        values, random, full: metric values of which higher is better, shape [n], entry i of all from the same seed.

    Returns:
        None where full is not above random, so that there is no gap to close.
    """
    columns = np.stack([np.asarray(column, dtype=np.float64) for column in (values, random, full)])
    count, (gained, gap) = columns.shape[1], (columns[[0, 2]] - columns[1])
    if gap.mean() <= 0:
        return None
    value = float(gained.mean() / gap.mean())
    low, high = (fieller(gained, gap) if count >= LEAST_SEEDS_OF_A_GAP else None) or (None, None)
    return Estimate(value, low, high, count)


def fieller(above: ArrayLike, below: ArrayLike) -> tuple[float, float] | None:
    """Fieller's 95 % interval of the quotient of two means; None where that of ``below`` is not significant.

    Args:
        above, below: shape [n], n ≥ 2, entry i of both from the same seed.
    """
    pairs = np.stack([np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)])
    a, b = pairs.mean(axis=1)
    (aa, ab), (_, bb) = student_t(pairs.shape[1]) ** 2 / pairs.shape[1] * np.cov(pairs)
    # The roots of (a - ρb)² = t²·var(a - ρb)/n.
    square, half, constant = b * b - bb, a * b - ab, a * a - aa
    if square <= 0:
        return None
    root = max(half * half - square * constant, 0.0) ** 0.5
    return float((half - root) / square), float((half + root) / square)


def agree(values: ArrayLike) -> bool:
    """Whether values of shape [n], one a seed, are the same but for rounding, so that they say nothing of a spread."""
    column = np.asarray(values, dtype=np.float64)
    return bool(np.ptp(column) <= _SAME * max(1.0, float(np.abs(column).max())))


def student_t(count: int) -> float:
    """The 97.5 % point of Student's t of so many seeds, count - 1 degrees of freedom."""
    return float(stdtrit(count - 1, _UPPER))
