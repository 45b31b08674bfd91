"""Percentile bootstrap over seeds: means and gap closed, each with its interval."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emprune.seeding import generator
from emprune_lab.reporting.estimate import LEVEL, Estimate

_MOST_RESAMPLES = 50_000
_DRAWS = 10_000


def mean(values: ArrayLike) -> Estimate:
    """Mean over seeds with its bootstrap interval, which is narrower than its name for few seeds.

    Args:
        values: shape [n], n ≥ 1, one a seed.
    """
    column = np.asarray(values, dtype=np.float64)
    low, high = _interval(_resampled_means(column[:, None])[:, 0], len(column))
    spread = float(np.std(column, ddof=1)) if len(column) > 1 else None
    return Estimate(float(np.mean(column)), low, high, spread, len(column), "bootstrap")


def gap_closed(values: ArrayLike, random: ArrayLike, full: ArrayLike) -> Estimate | None:
    """(acc - acc_random) / (acc_full - acc_random) of the means: 0 is no better than random, 1 is lossless.

    A quotient, so Student's t does not apply. The interval resamples seeds, all three accuracies of a seed
    together. Where the interval of the gap itself reaches zero, the quotient can be anything and has none.

    Args:
        values, random, full: accuracies, shape [n], entry i of all from the same seed.

    Returns:
        None where full is not above random, so that there is no gap to close.
    """
    columns = np.stack([np.asarray(column, dtype=np.float64) for column in (values, random, full)], axis=1)
    means = columns.mean(axis=0)
    if means[2] - means[1] <= 0:
        return None
    drawn = _resampled_means(columns)
    gaps = drawn[:, 2] - drawn[:, 1]
    low = high = None
    if np.quantile(gaps, (1 - LEVEL) / 2) > 0:
        positive = gaps > 0
        low, high = _interval((drawn[positive, 0] - drawn[positive, 1]) / gaps[positive], len(columns))
    value = float((means[0] - means[1]) / (means[2] - means[1]))
    return Estimate(value, low, high, None, len(columns), "bootstrap")


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


def _interval(drawn: NDArray[np.float64], count: int) -> tuple[float, float] | tuple[None, None]:
    if count < 2:
        return None, None
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
