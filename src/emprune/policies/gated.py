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
from emprune.policies.even_counts import CREDIT, balanced, chances, drawn_uniformly
from emprune.policies.generalisation import COUNTED, LEAST, Gap, count_again, count_first, gap_now, least_loss
from emprune.policies.reliability import PAIRS, Reliability, count_pairs, reliability
from emprune.selection import Selection
from emprune.selection.rank_rules import check_gamma, lifted
from emprune.table import Observations, ScoreTable

_FEWEST_TURNS = 1.9
"""Turns of a sample in a run, on average, below which epochs are uniform: two, less what dropped batches may take."""

DRAWN = "drawn"
"""Name of the score table's column: the last epoch in which a sample was among those drawn uniformly."""


class Sharpness(NamedTuple):
    """What is known of a run, and the exponent that follows.

    Attributes:
        gap: the generalisation gap.
        reliability: of stored scores.
        gamma: γ.
    """

    gap: Gap
    reliability: Reliability
    gamma: float


@dataclass(repr=False)
class GatedEMP(Policy):
    """EMP's score with an exponent that training decides, from ``gamma`` down to 0, and even counts [ours].

    Choosing the hard pays where a network has understood what it has fitted, and costs where it fits what it has not
    understood; and a stored score is worth as much as it says about the sample when it is trained again. Training shows
    both for nothing, and the exponent of the epochs to come follows::

        γ = gamma · max(0, reliability - doubt · its error) · max(0, 1 - slope · (gap + doubt · its error))

    with the generalisation gap of :mod:`emprune.policies.generalisation` and the reliability of stored scores of
    :mod:`emprune.policies.reliability`, of the epochs before, older ones weighing less. The part ``floor`` of an epoch
    is drawn uniformly, and shows what the gap compares with; the rest has probabilities in proportion to score^γ,
    samples never seen having the mean score, and turns are taken as these add up
    (:mod:`emprune.policies.even_counts`). With γ = 0, every sample is trained about as often as any other. At a rate
    that gives a sample fewer than two turns in the whole run, on average, nothing of this can be known in time, and the
    epoch is that of :class:`DynamicRandom`, to the sample.

    So that there are samples never seen late in the run as well, a random part is kept back, and trained for the first
    time a few an epoch until ``kept_back`` of the run; losses of held-out samples
    (:meth:`emprune.Pruner.observe_held_out`) count like those of samples seen for the first time. Where nothing is
    known (the first two epochs; a run that begins with full epochs, without held-out losses; losses that are not
    positive on average) γ is 0.

    What was seen and decided is in ``pruner.metrics()``, and of each epoch in ``pruner.table.history(name)``: "gap",
    "gap_error" (its standard error), "reliability", "reliability_error" and "gamma".

    Args:
        beta: β ≥ 0, weight of the memory term in the score L + β·M, as in :class:`EMP`.
        gamma: the largest exponent.
        slope: γ is 0 from a gap of 1/slope on.
        floor: part of an epoch that is drawn uniformly.
        reserve: part of the samples that is kept back; none of fewer than 1/reserve.
        kept_back: part of the run after which all samples have been trained.
        half_life: part of the run after which a pair of scores weighs half in the reliability.
        doubt: by how many standard errors the gap is taken for larger than it seems, and the reliability for smaller.
        drift: by how much the gap is expected to change in a tenth of the run, as a standard deviation; the larger, the
            less counts what was seen long ago.
    """

    beta: float = 20.0
    gamma: float = 3.0
    slope: float = 3.0
    floor: float = 0.1
    reserve: float = 0.05
    kept_back: float = 0.7
    half_life: float = 0.1
    doubt: float = 1.0
    drift: float = 0.1

    name = "emp-gated"
    source = "this project; the score is that of Xiao et al. 2024, arXiv:2408.16031"
    inputs = ("loss", "memory")
    memory_is_optional = True
    updated_by_training_alone = True
    partitionable = True
    honours = ("sample_weight", "quotas")
    shown = ("gap", "gap_error", "reliability", "reliability_error", "gamma")
    planned: ClassVar[tuple[str, ...]] = (*shown, "lowest", "mean", LEAST)
    columns: ClassVar[dict[str, float]] = {CREDIT: 0.0, DRAWN: -1.0}
    history: ClassVar[dict[str, float]] = {**dict.fromkeys(planned, np.nan), **COUNTED, **PAIRS}

    def __post_init__(self) -> None:
        self.beta, self.gamma = check_beta(self.beta), check_gamma(self.gamma)
        self.slope, self.doubt = (
            number(name, getattr(self, name), "a finite number of at least 0", lambda value: 0 <= value < np.inf)
            for name in ("slope", "doubt")
        )
        self.floor, self.drift = (
            number(name, getattr(self, name), "a number in [0, 1]", lambda value: 0 <= value <= 1)
            for name in ("floor", "drift")
        )
        self.reserve, self.kept_back, self.half_life = (
            number(name, getattr(self, name), "a number in (0, 1]", lambda value: 0 < value <= 1)
            for name in ("reserve", "kept_back", "half_life")
        )

    def select(self, request: Request) -> Selection:
        enough = _turns(request) >= _FEWEST_TURNS
        scores, gamma = self._decided(request, enough=enough)
        if enough:
            return self._selected(request, scores, gamma)
        selection = request.uniform()
        self._keep_drawn(request, selection.ids)
        return selection

    def remark(self, turns: float) -> str:
        return "random subsets, as a sample has fewer than two turns" if turns < _FEWEST_TURNS else ""

    def before_full_epoch(self, request: Request) -> None:
        self._decided(request, enough=True)
        request.keep(DRAWN, np.full(len(request.table), request.epoch, dtype=np.float32))

    def _decided(self, request: Request, *, enough: bool) -> tuple[NDArray[np.float32], float]:
        """The scores that the epoch is planned by, at least 0 where they are numbers, and the exponent; noted."""
        table, epoch = request.table, request.epoch
        known = self.known(table, epoch, request.num_epochs)
        gamma = known.gamma if enough else 0.0
        scores = table.rank(emp_score(table.loss, table.memory, self.beta), "mean")
        lowest = table.owned.lowest(scores)
        if lowest < 0:  # as rule "sample" would
            scores = lifted(scores, lowest)
        mean = float(table.owned.finite_mean(scores))
        planned = (*known.gap, *known.reliability, gamma, float(lowest), mean, least_loss(table))
        for name, value in zip(self.planned, planned, strict=True):
            table.history(name)[epoch] = value
        return scores, gamma

    def _selected(self, request: Request, scores: NDArray[np.float32], gamma: float) -> Selection:
        """Those whose first epoch this is, a part drawn uniformly, and the rest by score^γ."""
        table, owned = request.table, request.table.owned
        # Full epochs, or a shorter run that is extended, have trained some of them already.
        due, back = (rows[table.unseen[rows]] for rows in self._reserve(request))
        others = ~np.isnan(scores)
        others[due] = others[back] = False
        if table.sample_weight is not None:
            others &= table.sample_weight > 0
        scores = np.where(others, scores if gamma else np.float32(1), np.float32(0))
        drawn = request.k - owned.total(len(due))
        uniform = round(self.floor * drawn)
        uniformly = drawn_uniformly(request, others, uniform)
        chance = chances(request, scores, gamma or 1.0, drawn - uniform)
        if table.sample_weight is None:
            chance[others] += np.float32(uniform / max(1, owned.count(others)))
        else:
            chance += chances(request, others.astype(np.float32), 1.0, uniform)
        chance[due] = 1
        self._keep_drawn(request, uniformly)
        return balanced(request, np.minimum(chance, 1), np.concatenate([due, uniformly]), back)

    def _keep_drawn(self, request: Request, rows: NDArray[np.int64]) -> None:
        drawn_in = request.table.extra[DRAWN].copy()
        drawn_in[rows] = request.epoch
        request.keep(DRAWN, drawn_in)

    def update(self, table: ScoreTable, seen: Observations) -> None:
        lowest, mean = (table.history(name)[seen.epoch] for name in ("lowest", "mean"))
        times_trained = table.times_trained[seen.ids]
        count_first(table, seen.epoch, seen.loss[seen.trained & (times_trained == 0)])
        # Rows not yet written in this epoch still hold the scores that it was planned by.
        stored = lifted(emp_score(table.loss[seen.ids], table.memory[seen.ids], self.beta), lowest)
        again = seen.trained & (times_trained > 0) & (table.last_seen[seen.ids] < seen.epoch) & ~np.isnan(stored)
        count_again(table, seen.epoch, seen.loss[again & (table.extra[DRAWN][seen.ids] == seen.epoch)])
        shown = lifted(emp_score(seen.loss[again], seen.memory[again], self.beta), lowest)
        count_pairs(table, seen.epoch, stored[again], shown, mean)

    def observe_held_out(self, table: ScoreTable, epoch: int, losses: NDArray[np.float64]) -> None:
        if table.owned.world.rank == 0:  # what ranks hold a partition each is summed up
            count_first(table, epoch, losses)

    def known(self, table: ScoreTable, epoch: int, num_epochs: int) -> Sharpness:
        """What the epochs before ``epoch`` have shown; of a partitioned table all ranks must call it."""
        counted = _counted_by_all(table, epoch, (*COUNTED, *PAIRS))
        weights = 0.5 ** (np.arange(epoch, 0, -1) / max(1.0, self.half_life * num_epochs))
        gap = gap_now({**counted, LEAST: table.history(LEAST)[:epoch]}, weights, self.drift**2 / (0.1 * num_epochs))
        reliable = reliability(counted, weights)
        narrow = np.clip(1 - self.slope * (gap.value + self.doubt * gap.error), 0, 1)
        gamma = self.gamma * max(0.0, reliable.value - self.doubt * reliable.error) * narrow
        return Sharpness(gap, reliable, 0.0 if np.isnan(gamma) else float(gamma))

    def _reserve(self, request: Request) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows whose first epoch this is, at most half of it, and those that are to be left alone until a later one."""
        n = request.num_samples
        size = int(self.reserve * n)
        rows = request.rng("reserve", every_epoch=False).choice(n, size, replace=False)
        epochs = max(1, round(self.kept_back * request.num_epochs))
        begin, end = (min(size, size * epoch // epochs) for epoch in (request.epoch, request.epoch + 1))
        owned = request.table.owned
        return owned.rows_of(rows[begin:end][: request.k // 2]), owned.rows_of(rows[end:])


def _turns(request: Request) -> float:
    """How often a sample will have been trained, on average, if the epochs left keep as many; all ranks call it."""
    trained = request.table.owned.total(int(request.table.times_trained.sum(dtype=np.int64)))
    return (trained + request.k * (request.num_epochs - request.epoch)) / request.num_samples


def _counted_by_all(table: ScoreTable, epoch: int, names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """What all ranks have counted in the epochs before ``epoch``, by name, float64, shape [epoch]; all must call it."""
    here = np.concatenate([table.history(name)[:epoch] for name in names])
    return dict(zip(names, table.owned.sums(*here).reshape(len(names), epoch), strict=True))
