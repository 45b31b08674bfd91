"""The probability with which rule "sample" takes a sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MOST = 65_536
_STEPS = 60


def log_rate(weights: NDArray[np.float32], k: int, rng: np.random.Generator) -> float:
    """log λ, so that Σ (1 - exp(-λ·w)) = k: the time until which k of exponential clocks of rates w have rung.

    Rule "sample" takes the samples whose clocks ring first, so that a sample is taken with a probability near to
    1 - exp(-λ·w) (Rosén 1997). Of more than 65,536 weights a random part of as many is looked at.

    Args:
        weights: positive, shape [M]: score^γ.
        k: how many are drawn; λ is infinite where that is all of them, and 0 where it is none.
    """
    size = len(weights)
    if k >= size:
        return np.inf
    if k <= 0:
        return -np.inf
    if size > _MOST:
        weights = weights[rng.integers(size, size=_MOST)]
    logs, wanted = np.log(weights.astype(np.float64)), k / size
    low, high = -logs.max() + np.log(wanted) - 1, -logs.min() + np.log(-np.log1p(-wanted)) + 1
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if -np.expm1(-np.exp(middle + logs)).mean() < wanted:
            low = middle
        else:
            high = middle
    return float((low + high) / 2)


def inclusion(log_rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64, shape [M]: 1 - exp(-λ·w) of log λ·w, shape [M]."""
    with np.errstate(over="ignore"):
        return -np.expm1(-np.exp(log_rates))
