"""The generalisation gap as training itself shows it, without a forward pass more.

The first time that a sample is trained, its loss is that of a sample the network has not seen, in the same epoch and
mode, under the same augmentation as the others. With H the mean of such losses, and S the mean loss of all samples
trained before, ::

    gap = (H - S) / H

S is estimated from those that the epoch's plan has taken again, each counted 1/π times, where π is the probability with
which it was taken (Horvitz & Thompson 1952).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emprune.table import Observations, ScoreTable

_SMALLEST = 1e-9
"""Probability of being taken, below which a loss counts no more than at it."""

_LONG_AGO = 1e-100
"""Weight of all that has been observed, below which it is as good as nothing."""

COUNTED = {
    "trained_before": 0.0, "planned": 0.0, "first": 0.0, "first_loss": 0.0, "first_loss_squared": 0.0, "again": 0.0,
    "again_loss": 0.0, "again_variance": 0.0,
}  # fmt: skip
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


def count_planned(table: ScoreTable, epoch: int, rows: NDArray[np.int64]) -> None:
    """Count the rows trained before, and how many of them the epoch's plan has taken.

    Args:
        rows: int64, shape [M], this rank's rows in the plan.
    """
    before = (table.times_trained > 0) & ~np.isnan(table.loss)
    table.history("trained_before")[epoch] = np.count_nonzero(before)
    table.history("planned")[epoch] = np.count_nonzero(before[rows])


def count_first(table: ScoreTable, seen: Observations) -> None:
    """Count the losses of samples that are trained for the first time."""
    first = seen.trained & (table.times_trained[seen.ids] == 0)
    count_losses_of_new_samples(table, seen.epoch, seen.loss[first].astype(np.float64))


def count_losses_of_new_samples(table: ScoreTable, epoch: int, losses: NDArray[np.float64]) -> None:
    """Count the losses, shape [M], of samples that have not been trained before, of the training set or of another."""
    _add(table, epoch, first=len(losses), first_loss=losses.sum(), first_loss_squared=(losses**2).sum())


def count_again(table: ScoreTable, epoch: int, loss: NDArray[np.float32], inclusion: NDArray[np.float64]) -> None:
    """Count the losses of samples trained before.

    Args:
        loss: float32, shape [M], nats.
        inclusion: float64, shape [M], the probability with which each was taken.
    """
    shares = loss.astype(np.float64) / np.maximum(inclusion, _SMALLEST)
    variance = (shares**2 * (1 - inclusion)).sum()
    _add(table, epoch, again=len(shares), again_loss=shares.sum(), again_variance=variance)


def weighted_gap(seen: Mapping[str, NDArray[np.float64]], weights: NDArray[np.float64]) -> Gap:
    """The gap of several epochs together.

    Args:
        seen: by name as in :data:`COUNTED`, float64, shape [epochs].
        weights: float64, shape [epochs], what an observation counts for.
    """
    usable = (seen["first"] > 0) & (seen["again"] > 0)
    n, weights = seen["first"][usable], weights[usable]
    if not len(n):
        return Gap()
    counts = weights * n
    if counts.sum() < _LONG_AGO:
        return Gap()
    first = seen["first_loss"][usable] / n
    # What was planned but not trained (a last batch dropped) is taken to be like the rest.
    scale = seen["planned"][usable] / seen["again"][usable] / seen["trained_before"][usable]
    again, again_variance = seen["again_loss"][usable] * scale, seen["again_variance"][usable] * scale**2
    held_out, trained = np.average(first, weights=counts), np.average(again, weights=counts)
    if held_out <= 0:
        return Gap()
    spread, degrees = seen["first_loss_squared"][usable] - n * first**2, weights * (n - 1)
    variance = (weights * spread).sum() / degrees.sum() if degrees.sum() > 0 else held_out**2
    # Of one observation; by its mean rather than by the sum, so that the error grows as what is known grows old.
    each = np.average(variance + n * again_variance, weights=counts)
    return Gap(float(1 - trained / held_out), float(np.sqrt(max(0.0, each) / counts.sum()) / held_out))


def _add(table: ScoreTable, epoch: int, **counted: float) -> None:
    for name, value in counted.items():
        table.history(name)[epoch] += value
