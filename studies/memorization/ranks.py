"""Spearman's rank correlation and its bootstrap over samples and seeds: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emprune.seeding import generator

Floats = NDArray[np.float64]

DRAWS = 200
_LEVEL = 0.95
_NO_VARIATION = 1e-6


class Interval(NamedTuple):
    """A value and its 95 % bootstrap interval; NaN where a column is constant."""

    value: float
    low: float
    high: float


class Bootstrap(NamedTuple):
    """The same resamples for every statistic of a set of samples and seeds; row 0 is the data as they are.

    Attributes:
        counts: float64, shape [1 + draws, N], how often each sample is in a resample; rows sum to N.
        seeds: int64, shape [1 + draws, S], which seeds are in it.
    """

    counts: Floats
    seeds: NDArray[np.int64]

    @classmethod
    def of(cls, num_samples: int, num_seeds: int, draws: int = DRAWS) -> Bootstrap:
        """Draw samples and seeds with replacement, both at once."""
        rng = generator(0, num_samples, "bootstrap over samples")
        drawn = rng.multinomial(num_samples, np.full(num_samples, 1 / num_samples), size=draws)
        seeds = rng.integers(0, num_seeds, (draws, num_seeds))
        return cls(np.concatenate([np.ones((1, num_samples)), drawn]), np.concatenate([[np.arange(num_seeds)], seeds]))

    def standardised(self, values: NDArray[Any]) -> Floats:
        """Ranks within each resample, centred and scaled so that Σ counts·z² = 1: shape [1 + draws, N].

        Ranks are taken anew in every resample, since those of the whole set vary too little; ties share
        their mean rank. NaN where all of a resample's values are equal.
        """
        ranks = weighted_ranks(values, self.counts) - (len(values) + 1) / 2
        length = np.sqrt(np.einsum("bn,bn,bn->b", self.counts, ranks, ranks))
        with np.errstate(invalid="ignore"):
            z: Floats = ranks / np.where(length > 0, length, np.nan)[:, None]
        return z

    def correlation(self, one: Floats, other: Floats) -> Floats:
        """Spearman's coefficient in every resample, shape [1 + draws], from standardised ranks."""
        found: Floats = np.einsum("bn,bn,bn->b", self.counts, one, other)
        return found

    def over_seeds(self, by_seed: Sequence[Floats]) -> Interval:
        """Mean over the seeds, with the interval of resampled samples and seeds.

        Resampling a few seeds understates what other seeds would do; most of the interval is the samples'.

        Args:
            by_seed: one array of shape [1 + draws] a seed.
        """
        means = np.take_along_axis(np.stack(by_seed, axis=1), self.seeds, axis=1).mean(axis=1)
        return interval(means)


def interval(drawn: Floats) -> Interval:
    """The value, in row 0, and the quantiles of the other rows that there are."""
    usable = drawn[1:][np.isfinite(drawn[1:])]
    if not np.isfinite(drawn[0]) or not len(usable):
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(usable, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(float(drawn[0]), float(low), float(high))


def weighted_ranks(values: NDArray[Any], counts: Floats) -> Floats:
    """Ranks from 1 in samples that hold value n ``counts[b, n]`` times; ties share their mean rank.

    Args:
        values: shape [N]. counts: shape [B, N].

    Returns:
        float64, shape [B, N]; the rank that value n has, or would have, in resample b.

    >>> weighted_ranks(np.array([5.0, 1.0, 5.0]), np.array([[1.0, 1.0, 1.0], [2.0, 1.0, 0.0]]))
    array([[2.5, 1. , 2.5],
           [2.5, 1. , 2.5]])
    """
    order = np.argsort(values, kind="stable")
    fresh = np.concatenate([[True], np.diff(values[order]) != 0])
    tied = np.add.reduceat(counts[:, order], np.flatnonzero(fresh), axis=1)
    rank_of_group = np.cumsum(tied, axis=1) - (tied - 1) / 2
    group = np.empty(len(values), dtype=np.int64)
    group[order] = np.cumsum(fresh) - 1
    ranks: Floats = rank_of_group[:, group]
    return ranks


def spearman(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Spearman's rank correlation of two arrays of shape [N]; NaN where one is constant."""
    plain = Bootstrap.of(len(one), 1, draws=0)
    return float(plain.correlation(plain.standardised(one), plain.standardised(other))[0])


def partial(one_other: Floats, one_third: Floats, other_third: Floats) -> Floats:
    """The correlation of one and other with the third held fixed, from their three correlations.

    NaN where the third leaves nothing of one or of other.

    >>> partial(np.array(0.5), np.array(0.5), np.array(1.0))
    array(nan)
    """
    left = np.sqrt(np.maximum((1 - one_third**2) * (1 - other_third**2), 0.0))
    # What rounding leaves of a correlation of ±1 is no variation.
    found: Floats = np.asarray((one_other - one_third * other_third) / np.where(left > _NO_VARIATION, left, np.nan))
    return found
