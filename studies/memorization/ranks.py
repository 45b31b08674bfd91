"""Spearman's rank correlation and its bootstrap over samples and runs: pure functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from emprune.seeding import generator

Floats = NDArray[np.float64]

DRAWS = 200
_LEVEL = 0.95
_NO_VARIATION = 1e-6


def rank_correlations(rows: NDArray[Any]) -> Floats:
    """Spearman's coefficient of each pair of rows: shape [R, N] to [R, R]; NaN where a row is constant.

    >>> rank_correlations(np.array([[1, 2, 9], [3, 2, 1], [5, 5, 5]]))[0]
    array([ 1., -1., nan])
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.corrcoef(rankdata(rows, axis=1)))


def spearman(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Spearman's coefficient of two arrays of shape [N]; NaN where one is constant."""
    return float(rank_correlations(np.stack([one, other]))[0, 1])


def partial(one_other: Floats, one_third: Floats, other_third: Floats) -> Floats:
    """The correlation of one and other with the third held fixed, from their three correlations.

    NaN where the third leaves nothing of one or of other.

    >>> partial(np.array(0.5), np.array(0.5), np.array(1.0))
    array(nan)
    """
    left = np.sqrt(np.maximum((1 - one_third**2) * (1 - other_third**2), 0.0))
    # What rounding leaves of a correlation of ±1 is no variation.
    return np.asarray((one_other - one_third * other_third) / np.where(left > _NO_VARIATION, left, np.nan))


def bootstrap(statistic: Callable[[NDArray[np.int64]], Floats], num_samples: int, num_runs: int) -> dict[str, Floats]:
    """The mean of a statistic over runs, with the 95 % interval of resampled samples and runs.

    Resampling a few runs understates what other seeds would do; most of the interval is the samples'.

    Args:
        statistic: from the ids of N samples, with repetitions, to one value a run, shape [S, ...].

    Returns:
        value, low and high, of shape [...]; NaN where the value is, or all resamples are.
    """
    rng = generator(0, num_samples, "bootstrap over samples")
    counts = rng.multinomial(num_samples, np.full(num_samples, 1 / num_samples), size=DRAWS)
    runs = rng.integers(0, num_runs, (DRAWS, num_runs))
    every = np.arange(num_samples)
    value = statistic(every).mean(axis=0)
    drawn = np.stack(
        [statistic(np.repeat(every, count))[chosen].mean(axis=0) for count, chosen in zip(counts, runs, strict=True)]
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        low, high = np.nanquantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], axis=0)
    known = np.isfinite(value) & np.isfinite(low)
    return {name: np.where(known, one, np.nan) for name, one in (("value", value), ("low", low), ("high", high))}
