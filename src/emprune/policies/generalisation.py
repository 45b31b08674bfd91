"""The generalisation gap as training itself shows it, without a forward pass more.

The first time that a sample is trained, its loss is that of a sample the network has not seen, in the same epoch and
mode, under the same augmentation as the others. With H the mean of such losses, S the mean loss of samples that have
been trained before and are drawn from all of these with equal probability, and m the lowest of the losses that samples
have shown when last seen, but for a hundredth of them, at least 0, ::

    gap = (H - S) / (H - m).

Without m, a constant in the loss would make every gap look narrow: with a label smoothing of 0.1 and a hundred classes
no loss is below 0.78, however well a sample is fitted.

In the first epochs nearly all samples are seen for the first time, later on a few an epoch. The gap drifts meanwhile:
what many samples have shown early says less of it than what few show now (``weights_now``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emprune.table import ScoreTable

_LONG_AGO = 1e-100
"""Weight of all that has been observed, below which it is as good as nothing."""

LEAST = "least"
"""Name of the column of :meth:`ScoreTable.history` that holds m, as each epoch found it."""

_LEAST_SCATTER = 1e-12
"""Variance of the gap of a single observation below which it counts as that."""

COUNTED = dict.fromkeys(("first", "first_loss", "first_loss_squared", "again", "again_loss", "again_loss_squared"), 0.0)
"""What a rank counts of its rows in an epoch, names and initial values, as columns of :meth:`ScoreTable.history`."""


class Gap(NamedTuple):
    """The generalisation gap as far as it is known.

    Attributes:
        value: (H - S)/(H - m), of the mean loss H of samples trained for the first time, that of trained ones, S, and
            the lowest of all but a hundredth, m; NaN where nothing is known of one of them.
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


def least_loss(table: ScoreTable) -> float:
    """m: a hundredth of the stored losses lies below it; at least 0; NaN before any is known.

    Not the lowest one: a single sample that has nothing to learn would hide the constant in all others. Of a
    partitioned table all ranks must call it.
    """
    known = np.where(table.unseen, np.float32(np.nan), table.loss)
    place = 1 + table.owned.count(~np.isnan(known)) // 100
    return float(np.maximum(0.0, table.owned.kth_smallest(known, place)))


def weights_now(counts: NDArray[np.float64], drift: float) -> NDArray[np.float64]:
    """What an observation of each epoch counts for in the one that follows them, where what is observed drifts.

    That of a random walk seen with noise (Kalman 1960, for a local level): when an epoch passes, n observations have
    become worth n / (1 + n·drift), since their mean is off by as much more as the level may have moved. So the many
    observations of an early epoch are soon worth no more than a few, and few late ones are kept for long.

    Args:
        counts: float64, shape [epochs], observations of each epoch.
        drift: variance of what is observed changing in an epoch, in parts of a single observation's.

    Returns:
        float64, shape [epochs], in (0, 1].
    """
    kept, worth = np.ones(len(counts)), 0.0
    for epoch, count in enumerate(counts.tolist()):
        worth += count
        kept[epoch] = 1 / (1 + worth * drift)
        worth *= kept[epoch]
    return np.cumprod(kept[::-1], dtype=np.float64)[::-1]


def gap_now(seen: Mapping[str, NDArray[np.float64]], weights: NDArray[np.float64], drift: float) -> Gap:
    """The gap in the epoch that follows those seen.

    Args:
        seen: by name as in :data:`COUNTED`, and :data:`LEAST`, float64, shape [epochs].
        weights: float64, shape [epochs], what an epoch counts for in how far single losses scatter.
        drift: variance by which the gap is expected to change in an epoch.
    """
    usable = (seen["first"] > 0) & (seen["again"] > 0) & np.isfinite(seen[LEAST])
    first, again = seen["first"], seen["again"]
    counts = np.where(usable, first * again / np.maximum(first + again, 1), 0)  # what a difference of means rests on
    scatter = _averaged(seen, weights * counts).scatter
    if np.isnan(scatter):
        return Gap()
    recent = counts * weights_now(counts, drift / max(scatter, _LEAST_SCATTER))
    found = _averaged(seen, recent)
    return Gap(found.gap, float((found.scatter / recent.sum()) ** 0.5))


class _Averaged(NamedTuple):
    """The gap of several epochs, and the variance of what one loss of either kind shows of it; NaN: not known."""

    gap: float = np.nan
    scatter: float = np.nan


def _averaged(seen: Mapping[str, NDArray[np.float64]], counts: NDArray[np.float64]) -> _Averaged:
    """Args: counts: float64, shape [epochs], for how many observations an epoch counts."""
    if counts.sum() < _LONG_AGO:
        return _Averaged()
    used = counts > 0
    seen, counts = {name: numbers[used] for name, numbers in seen.items()}, counts[used]
    first, again = seen["first"], seen["again"]
    held_out, trained, least = (
        float(np.average(losses, weights=counts))
        for losses in (seen["first_loss"] / first, seen["again_loss"] / again, seen[LEAST])
    )
    if held_out <= least:
        return _Averaged()
    left = (trained - least) / (held_out - least)
    of_first, of_again = _variance(seen, "first", counts, held_out), _variance(seen, "again", counts, trained)
    each = left**2 * of_first * again / (first + again) + of_again * first / (first + again)
    return _Averaged(1 - left, float(np.average(each, weights=counts)) / (held_out - least) ** 2)


def _variance(seen: Mapping[str, NDArray[np.float64]], name: str, counts: NDArray[np.float64], mean: float) -> float:
    """Of a loss, within epochs; the square of its mean where each epoch has but one."""
    number, total = seen[name], seen[f"{name}_loss"]
    spread, weights = seen[f"{name}_loss_squared"] - total**2 / number, counts / number
    degrees = float(weights @ (number - 1))
    return max(0.0, float(weights @ spread) / degrees) if degrees > 0 else mean**2


def _count(table: ScoreTable, epoch: int, name: str, losses: NDArray[np.float64]) -> None:
    counted = {name: len(losses), f"{name}_loss": losses.sum(), f"{name}_loss_squared": (losses**2).sum()}
    for key, value in counted.items():
        table.history(key)[epoch] += value
