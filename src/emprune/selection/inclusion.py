"""The probability with which rule "sample" takes a sample."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from emprune.distributed.rank_slice import RankSlice

F = TypeVar("F", np.float32, np.float64)
_MOST = 16_384
_STEPS = 500
"""Most of them; ten do, unless weights differ by tens of orders of magnitude."""
_CLOSE = 1e-4
_FLAT = 1e-290
"""Slope below which a step is no number any more."""


def log_rate(
    scores: NDArray[np.float32],
    k: int,
    rng: np.random.Generator,
    *,
    gamma: float = 1.0,
    owned: RankSlice | None = None,
    log_weights: NDArray[np.float32] | None = None,
) -> float:
    """log λ, so that Σ (1 - exp(-λ·w·score^γ)) = k: the time until which k exponential clocks of these rates have rung.

    Rule "sample" takes the samples whose clocks ring first, so that a sample is taken with a probability near to
    1 - exp(-λ·w·score^γ) (Rosén 1997). Of more than 16,384 scores a random part of as many is looked at.

    Args:
        scores: float32, shape [rows]; those that are not positive have no clock.
        k: how many are drawn; λ is infinite where that is all of them, and 0 where it is none.
        rng: in the same state on every rank.
        gamma: γ > 0.
        owned: the rows of this rank, all of which must call it; None: it holds all.
        log_weights: float32, shape [rows]: log w, -inf for those without a clock; None: w is 1.
    """
    owned = owned or RankSlice.whole(len(scores))
    if log_weights is not None:
        scores = np.where(log_weights > -np.inf, scores, np.float32(0))
    size = owned.count(scores > 0)
    if k >= size:
        return np.inf
    if k <= 0:
        return -np.inf

    def logs_of(rows: NDArray[np.int64] | slice) -> NDArray[np.float64]:
        some = scores[rows]
        found = gamma * np.log(some[some > 0].astype(np.float64))
        return owned.all_gather(found if log_weights is None else found + log_weights[rows][some > 0])

    logs = logs_of(_looked_at(owned, rng))
    if not len(logs):
        logs = logs_of(np.flatnonzero(scores > 0)[:_MOST])[:_MOST]
    largest = float(logs.max())
    return float(np.log(_rate(np.exp(logs - largest), k / size))) - largest


def inclusion(log_rates: NDArray[F]) -> NDArray[F]:
    """1 - exp(-λ·w) of log λ·w, shape [M], floating point."""
    with np.errstate(over="ignore"):
        return -np.expm1(-np.exp(log_rates))


def _looked_at(owned: RankSlice, rng: np.random.Generator) -> NDArray[np.int64] | slice:
    """Rows of this rank, in increasing order, among those that all ranks look at."""
    if owned.num_samples <= _MOST:
        return slice(None)
    ids = np.sort(rng.integers(owned.num_samples, size=_MOST))
    return owned.rows_of(ids)


def _rate(weights: NDArray[np.float64], wanted: float) -> float:
    """λ, so that the mean of 1 - exp(-λ·w) is ``wanted``: by Newton's method, which comes from below, never too far.

    Args:
        weights: in (0, 1].
        wanted: in (0, 1).
    """
    rate = float(wanted / weights.mean())  # as if no clock rang twice
    for _ in range(_STEPS):
        silent = np.exp(-rate * weights)
        slope = (weights * silent).mean()
        step = float((wanted - 1 + silent.mean()) / slope) if slope > _FLAT else 0.0
        rate += step
        if step <= _CLOSE * rate:
            break
    return rate
