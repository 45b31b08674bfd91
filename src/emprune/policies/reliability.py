"""How much of what a stored score says is still there when its sample is trained again.

A stored score is the sample's own and chance of the moment: of its view, of the weights just then, of how few steps had
been taken. With x the logarithm of the score that a sample was taken by, and y that of the score it then showed, ::

    reliability = cov(x, y) / var(x),

the slope of the regression of y on x, within epochs. The best guess of a score is then the mean, and this part of the
distance from it (regression to the mean; Kelley 1927): to sample in proportion to the γ-th power of what scores are
guessed to be is to sample by an exponent γ·reliability of what is stored. Which samples were taken depends on x alone,
and does not bend the regression.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emprune.table import ScoreTable

PAIRS = {"pairs": 0.0, "x": 0.0, "y": 0.0, "xx": 0.0, "xy": 0.0, "yy": 0.0}
"""What a rank counts of its rows in an epoch, names and initial values, as columns of :meth:`ScoreTable.history`."""

_FARTHEST = 1e3
"""Scores count no farther from the mean than by this factor; far below it, differences mean nothing any more."""


class Reliability(NamedTuple):
    """The reliability of stored scores as far as it is known.

    Attributes:
        value: in [0, 1]; NaN where nothing is known of it.
        error: standard error of the regression's slope.
    """

    value: float = np.nan
    error: float = np.nan


def count_pairs(
    table: ScoreTable, epoch: int, stored: NDArray[np.float32], shown: NDArray[np.float32], mean: float
) -> None:
    """Count pairs of scores.

    Args:
        stored: float32, shape [M], what samples were taken by, at least 0.
        shown: float32, shape [M], what they then showed.
        mean: of the scores that the epoch was planned by.
    """
    if not mean > 0:
        return
    x, y = (np.log(np.clip(scores.astype(np.float64) / mean, 1 / _FARTHEST, _FARTHEST)) for scores in (stored, shown))
    counted = {"pairs": float(len(x)), "x": x.sum(), "y": y.sum(), "xx": x @ x, "xy": x @ y, "yy": y @ y}
    for name, value in counted.items():
        table.history(name)[epoch] += value


def reliability(counted: Mapping[str, NDArray[np.float64]], weights: NDArray[np.float64]) -> Reliability:
    """The reliability of several epochs together; NaN where nothing is known.

    Args:
        counted: by name as in :data:`PAIRS`, float64, shape [epochs].
        weights: float64, shape [epochs], what a pair counts for.
    """
    n = np.maximum(counted["pairs"], 1)
    xx, xy, yy = (
        float(weights @ (counted[a + b] - counted[a] * counted[b] / n)) for a, b in (("x", "x"), ("x", "y"), ("y", "y"))
    )
    degrees = float(weights @ (counted["pairs"] - 1)) - 1
    if xx <= 0 or degrees <= 0:
        return Reliability()
    slope = xy / xx
    residual = max(0.0, yy - slope * xy) / degrees
    return Reliability(float(np.clip(slope, 0, 1)), (residual / xx) ** 0.5)
