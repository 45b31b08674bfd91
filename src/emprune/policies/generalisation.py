"""The generalisation gap as training itself shows it, without a forward pass more.

The first time that a sample is trained, its loss is that of a sample the network has not seen, in the same epoch and
mode, under the same augmentation as the others. With H the mean of such losses, and S the mean loss of samples that
have been trained before and are drawn from all of these with equal probability, ::

    gap = (H - S) / H.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emprune.table import ScoreTable

_LONG_AGO = 1e-100
"""Weight of all that has been observed, below which it is as good as nothing."""

COUNTED = dict.fromkeys(("first", "first_loss", "first_loss_squared", "again", "again_loss", "again_loss_squared"), 0.0)
"""What a rank counts of its rows in an epoch, names and initial values, as columns of :meth:`ScoreTable.history`."""


class Gap(NamedTuple):
    """The generalisation gap as far as it is known.

    Attributes:
        value: (H - S)/H, of the mean loss H of samples trained for the first time and that of trained ones, S; NaN
            where nothing is known of either.
        error: its standard error; grows while nothing new is learnt.
    """

    value: float = np.nan
    error: float = np.nan


def count_first(table: ScoreTable, epoch: int, losses: NDArray[np.floating[Any]]) -> None:
    """Count the losses, shape [M], of samples that have not been trained before, of the training set or of another."""
    _count(table, epoch, "first", losses.astype(np.float64))


def count_again(table: ScoreTable, epoch: int, losses: NDArray[np.floating[Any]]) -> None:
    """Count the losses, shape [M], of samples drawn uniformly from those that have been trained before."""
    _count(table, epoch, "again", losses.astype(np.float64))


def weighted_gap(seen: Mapping[str, NDArray[np.float64]], weights: NDArray[np.float64]) -> Gap:
    """The gap of several epochs together.

    Args:
        seen: by name as in :data:`COUNTED`, float64, shape [epochs].
        weights: float64, shape [epochs], what an observation counts for.
    """
    usable = (seen["first"] > 0) & (seen["again"] > 0)
    seen, weights = {name: numbers[usable] for name, numbers in seen.items()}, weights[usable]
    counts = weights * seen["first"]
    if counts.sum() < _LONG_AGO:
        return Gap()
    held_out, trained = (np.average(seen[f"{name}_loss"] / seen[name], weights=counts) for name in ("first", "again"))
    if held_out <= 0:
        return Gap()
    # Of one observation; by its mean rather than by the sum, so that the error grows as what is known grows old.
    of_again = seen["first"] * _variance(seen, "again", weights, trained) / seen["again"]
    each = _variance(seen, "first", weights, held_out) + np.average(of_again, weights=counts)
    return Gap(float(1 - trained / held_out), float(np.sqrt(each / counts.sum()) / held_out))


def _variance(seen: Mapping[str, NDArray[np.float64]], name: str, weights: NDArray[np.float64], mean: float) -> float:
    """Of a loss, within epochs; the square of its mean where each epoch has but one."""
    count, total = seen[name], seen[f"{name}_loss"]
    spread, degrees = seen[f"{name}_loss_squared"] - total**2 / count, weights * (count - 1)
    return max(0.0, float((weights * spread).sum() / degrees.sum())) if degrees.sum() > 0 else mean**2


def _count(table: ScoreTable, epoch: int, name: str, losses: NDArray[np.float64]) -> None:
    counted = {name: len(losses), f"{name}_loss": losses.sum(), f"{name}_loss_squared": (losses**2).sum()}
    for key, value in counted.items():
        table.history(key)[epoch] += value
