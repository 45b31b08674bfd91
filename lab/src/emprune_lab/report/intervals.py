"""Statistics over seeds with their 95 % intervals: Student's t, or the percentile bootstrap."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from emprune.errors import ArgumentError
from emprune.seeding import generator

Interval = Literal["student", "bootstrap"]
"""How an interval is made: by Student's t, or by the percentile bootstrap."""

_QUANTILES = (0.025, 0.975)
_MOST_RESAMPLES, _DRAWS = 50_000, 10_000


@dataclass(frozen=True)
class Estimate:
    """A statistic over seeds.

    Attributes:
        value: the statistic of all seeds. low, high: its 95 % interval; None where there is none.
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


def mean(values: ArrayLike, interval: Interval = "student") -> Estimate:
    """Mean over seeds with its 95 % interval; one seed has none.

    Args:
        values: shape [n], n ≥ 1, one a seed.
        interval: "student": mean ± t·s/√n, with s the standard deviation (n - 1) and t the 97.5 % point of
            Student's t with n - 1 degrees of freedom; exact for normal values. "bootstrap": percentiles of the means
            of resampled seeds, which is too narrow for few seeds.

    Raises:
        ArgumentError: the interval is unknown.
    """
    if interval not in get_args(Interval):
        raise ArgumentError("interval", interval, f"one of {', '.join(get_args(Interval))}")
    column = np.asarray(values, dtype=np.float64)
    centre, count = float(np.mean(column)), len(column)
    if count < 2:
        return Estimate(centre, None, None, count)
    if interval == "bootstrap":
        return Estimate(centre, *_percentiles(_resampled_means(column[:, None])[:, 0]), count)
    half = float(stdtrit(count - 1, _QUANTILES[1]) * np.std(column, ddof=1) / count**0.5)
    return Estimate(centre, centre - half, centre + half, count)


def paired_difference(values: ArrayLike, reference: ArrayLike, interval: Interval = "student") -> Estimate:
    """Mean of the differences seed by seed: seeds share weights and label noise, so most of the noise cancels.

    Args:
        values, reference: shape [n], entry i of both from the same seed.
        interval: as for :func:`mean`.
    """
    return mean(np.asarray(values, dtype=np.float64) - np.asarray(reference, dtype=np.float64), interval)


def gap_closed(values: ArrayLike, random: ArrayLike, full: ArrayLike) -> Estimate | None:
    """(value - random) / (full - random) of the means: 0 is no better than random, 1 is lossless.

    A quotient, so Student's t does not apply. The interval is that of the bootstrap, which resamples all three values
    of a seed together; there is none where the gap itself is not significant, since the quotient can then be anything.

    Args:
        values, random, full: metric values of which higher is better, shape [n], entry i of all from the same seed.

    Returns:
        None where full is not above random, so that there is no gap to close.
    """
    columns = np.stack([np.asarray(column, dtype=np.float64) for column in (values, random, full)], axis=1)
    means = columns.mean(axis=0)
    if means[2] - means[1] <= 0:
        return None
    value = float((means[0] - means[1]) / (means[2] - means[1]))
    drawn = _resampled_means(columns)
    gaps = drawn[:, 2] - drawn[:, 1]
    if len(columns) < 2 or np.quantile(gaps, _QUANTILES[0]) <= 0:
        return Estimate(value, None, None, len(columns))
    positive = gaps > 0
    return Estimate(value, *_percentiles((drawn[positive, 0] - drawn[positive, 1]) / gaps[positive]), len(columns))


def resamples(count: int) -> NDArray[np.int64]:
    """Bootstrap indices, shape [R, count]: all count^count of them up to 6 seeds, else 10,000 drawn ones.

    Enumerating makes the intervals of the usual 3 to 5 seeds exact, with no random number in them.
    """
    if count**count <= _MOST_RESAMPLES:
        return np.array(list(itertools.product(range(count), repeat=count)), dtype=np.int64)
    return generator(0, count, "bootstrap").integers(0, count, (_DRAWS, count))


def _resampled_means(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of every resample of the rows: [n, m] → [R, m]."""
    means: NDArray[np.float64] = columns[resamples(len(columns))].mean(axis=1)
    return means


def _percentiles(drawn: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(drawn, _QUANTILES)
    return float(low), float(high)
