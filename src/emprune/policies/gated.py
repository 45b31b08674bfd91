"""EMP with a sharpness that follows the generalisation gap, which costs no forward pass to measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emprune.checks import number
from emprune.policies.base import Policy, Request
from emprune.policies.emp import check_beta, emp_score
from emprune.policies.generalisation import (
    COUNTED,
    Gap,
    count_again,
    count_first,
    count_losses_of_new_samples,
    count_planned,
    weighted_gap,
)
from emprune.policies.reliability import PAIRS, Reliability, count_pairs, reliability
from emprune.selection import Selection
from emprune.selection.inclusion import inclusion, log_rate
from emprune.selection.rank_rules import check_gamma, lifted
from emprune.table import Observations, ScoreTable

_LEAST, _MOST_OF_ALL = 100, 0.05


class Sharpness(NamedTuple):
    """What is known of a run, and the exponent that follows.

    Attributes:
        gap: the generalisation gap. reliability: of stored scores. gamma: γ.
    """

    gap: Gap
    reliability: Reliability
    gamma: float


@dataclass(repr=False)
class GatedEMP(Policy):
    """EMP's score with an exponent that training decides, from ``gamma`` down to 0, dynamic random [ours].

    Choosing the hard pays where a network has understood what it has fitted, and costs where it fits what it has not
    understood; and a stored score is worth as much as it says about the sample when it is trained again. Training shows
    both for nothing, and the exponent of the epochs to come follows::

        γ = gamma · max(0, reliability - doubt · its error) · max(0, 1 - slope · (gap + doubt · its error))

    with the generalisation gap of :mod:`emprune.policies.generalisation` and the reliability of stored scores of
    :mod:`emprune.policies.reliability`, of the epochs before, older ones weighing less. Samples never seen have the
    mean score. So that there are some late in the run as well, for the gap, a random part is kept back, and trained for
    the first time a few an epoch until ``kept_back`` of the run; losses of held-out samples
    (:meth:`emprune.Pruner.observe_held_out`) count like those of samples seen for the first time. Where nothing is
    known (the first two epochs; a run that begins with full epochs, without held-out losses; losses that are not
    positive on average) γ is 0.

    What was seen and decided is in ``pruner.metrics()``, and of each epoch in ``pruner.table.history(name)``: "gap",
    "gap_error" (its standard error), "reliability", "reliability_error" and "gamma".

    Args:
        beta: β ≥ 0, weight of the memory term in the score L + β·M, as in :class:`EMP`.
        gamma: the largest exponent.
        slope: γ is 0 from a gap of 1/slope on.
        reserve: part of the samples that is kept back; 100 at least, but 5 % at most.
        kept_back: part of the run after which all samples have been trained.
        half_life: part of the run after which an observation weighs half.
        doubt: by how many standard errors the gap is taken for larger than it seems, and the reliability for smaller.
    """

    beta: float = 20.0
    gamma: float = 3.0
    slope: float = 3.0
    reserve: float = 0.02
    kept_back: float = 0.7
    half_life: float = 0.1
    doubt: float = 1.0

    name = "emp-gated"
    source = "this project; the score is that of Xiao et al. 2024, arXiv:2408.16031"
    inputs = ("loss", "memory")
    memory_is_optional = True
    updated_by_training_alone = True
    partitionable = True
    shown = ("gap", "gap_error", "reliability", "reliability_error", "gamma")
    planned: ClassVar[tuple[str, ...]] = (*shown, "lowest", "mean", "log_rate")
    history: ClassVar[dict[str, float]] = {**dict.fromkeys(planned, np.nan), **COUNTED, **PAIRS}

    def __post_init__(self) -> None:
        self.beta, self.gamma = check_beta(self.beta), check_gamma(self.gamma)
        self.slope, self.doubt = (
            number(name, getattr(self, name), "a finite number of at least 0", lambda value: 0 <= value < np.inf)
            for name in ("slope", "doubt")
        )
        self.reserve, self.kept_back, self.half_life = (
            number(name, getattr(self, name), "a number in (0, 1]", lambda value: 0 < value <= 1)
            for name in ("reserve", "kept_back", "half_life")
        )

    def select(self, request: Request) -> Selection:
        table, epoch = request.table, request.epoch
        known = self.known(table, epoch, request.num_epochs)
        scores = table.rank(emp_score(table.loss, table.memory, self.beta), "mean")
        lowest = table.owned.lowest(scores)
        if lowest < 0:  # as rule "sample" would
            scores = lifted(scores, lowest)
        mean, gamma, exponent = table.owned.finite_mean(scores), known.gamma, known.gamma
        if gamma == 0:
            scores[~np.isnan(scores)], exponent = 1, 1.0
        # Full epochs, or a shorter run that is extended, have trained some of them already.
        due, back = (rows[table.unseen[rows]] for rows in self._reserve(request))
        scores[back] = scores[due] = 0
        drawn = request.k - table.owned.total(len(due))
        rate = log_rate(scores, drawn, request.rng("inclusion"), gamma=exponent, owned=table.owned)
        scores[due] = np.inf
        selection = request.sample(scores, gamma=exponent)
        planned = (*known.gap, *known.reliability, gamma, float(lowest), float(mean), rate)
        for name, value in zip(self.planned, planned, strict=True):
            table.history(name)[epoch] = value
        count_planned(table, epoch, selection.ids)
        return selection

    def update(self, table: ScoreTable, seen: Observations) -> None:
        planned = ("gamma", "lowest", "mean", "log_rate")
        gamma, lowest, mean, rate = (table.history(name)[seen.epoch] for name in planned)
        if np.isnan(gamma):  # a full epoch, which no rule has chosen
            return
        count_first(table, seen)
        # Rows not yet written in this epoch still hold the scores that it was planned by.
        stored = lifted(emp_score(table.loss[seen.ids], table.memory[seen.ids], self.beta), lowest)
        before = table.times_trained[seen.ids] > 0
        again = seen.trained & before & (table.last_seen[seen.ids] < seen.epoch) & ~np.isnan(stored)
        powers = _log_powers(stored[again], gamma)
        # All that have a weight were taken, and some without; the loss of these was nothing.
        taken = np.ones(len(powers)) if rate == np.inf else inclusion(powers + rate)
        count_again(table, seen.epoch, seen.loss[again], taken)
        shown = lifted(emp_score(seen.loss[again], seen.memory[again], self.beta), lowest)
        count_pairs(table, seen.epoch, stored[again], shown, mean)

    def observe_held_out(self, table: ScoreTable, epoch: int, losses: NDArray[np.float64]) -> None:
        if table.owned.world.rank == 0:  # what ranks hold a partition each is summed up
            count_losses_of_new_samples(table, epoch, losses)

    def known(self, table: ScoreTable, epoch: int, num_epochs: int) -> Sharpness:
        """What the epochs before ``epoch`` have shown; of a partitioned table all ranks must call it."""
        counted = _counted_by_all(table, epoch, (*COUNTED, *PAIRS))
        weights = 0.5 ** (np.arange(epoch, 0, -1) / max(1.0, self.half_life * num_epochs))
        gap, reliable = weighted_gap(counted, weights), reliability(counted, weights)
        narrow = np.clip(1 - self.slope * (gap.value + self.doubt * gap.error), 0, 1)
        gamma = self.gamma * max(0.0, reliable.value - self.doubt * reliable.error) * narrow
        return Sharpness(gap, reliable, 0.0 if np.isnan(gamma) else float(gamma))

    def _reserve(self, request: Request) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows whose first epoch this is, and those that are to be left alone until a later one."""
        n = request.num_samples
        size = int(min(max(_LEAST, self.reserve * n), _MOST_OF_ALL * n))
        rows = request.rng("reserve", every_epoch=False).choice(n, size, replace=False)
        epochs = max(1, round(self.kept_back * request.num_epochs))
        begin, end = (min(size, size * epoch // epochs) for epoch in (request.epoch, request.epoch + 1))
        owned = request.table.owned
        return owned.rows_of(rows[begin:end]), owned.rows_of(rows[end:])


def _counted_by_all(table: ScoreTable, epoch: int, names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """What all ranks have counted in the epochs before ``epoch``, by name, float64, shape [epoch]; all must call it."""
    here = np.concatenate([table.history(name)[:epoch] for name in names])
    return dict(zip(names, table.owned.sums(*here).reshape(len(names), epoch), strict=True))


def _log_powers(scores: NDArray[np.float32], gamma: float) -> NDArray[np.float32]:
    """log score^γ, NaN where the score is."""
    if gamma == 0:
        return np.where(np.isnan(scores), scores, np.float32(0))
    with np.errstate(divide="ignore"):
        return np.float32(gamma) * np.log(np.maximum(scores, 0))
