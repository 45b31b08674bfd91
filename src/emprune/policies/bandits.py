"""ε-greedy and UCB (Raju et al. 2021, arXiv:2111.12621): every sample an arm of a bandit, its loss the reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emprune.checks import integer, number
from emprune.policies.base import Policy, Request
from emprune.selection import Selection, sample, top
from emprune.selection.topk import Floats
from emprune.table import Observations, ScoreTable

_MOST = float(np.finfo(np.float32).max)
_NEVER = float(np.inf)
"""A mean that nothing was averaged into yet; as a score it is ahead of all others."""


@dataclass(repr=False)
class EpsilonGreedy(Policy):
    """The samples of highest average loss, and a part ε of the plan drawn from the others at random.

    m_i is sample i's exponential moving average of the loss, in nats, written after each epoch for the
    samples that it observed: m ← (1 - α)·m + α·L, and m = L at the first observation. The plan is the
    k - ⌊εk⌋ highest m and ⌊εk⌋ of the rest, every subset equally likely. Samples never seen count as
    highest, as an arm that was never pulled.

    Source: Raju et al., arXiv:2111.12621. The paper's text was not at hand: the rule is its summary's, with the
    defaults of a public reimplementation. That one selects every tenth epoch (``period=10``), rounds εk
    down as here, and starts an average at 1.

    Args:
        epsilon: ε in [0, 1]; 1 is a uniform subset.
        alpha: α in (0, 1], weight of the newest loss; 1 keeps the last loss alone.
        period: epochs between two selections, at least 1; in between the subset stays as it is. Where an
            epoch trained less of it than planned, what is missing is selected anew.
    """

    epsilon: float = 0.1
    alpha: float = 0.8
    period: int = 1

    name = "epsilon-greedy"
    source = "Raju et al. 2021, arXiv:2111.12621, after public reimplementations"
    columns: ClassVar[dict[str, float]] = {"loss_mean": _NEVER, "loss_mean_before": _NEVER}

    def __post_init__(self) -> None:
        self.epsilon = number("epsilon", self.epsilon, "a number in [0, 1]", lambda epsilon: 0 <= epsilon <= 1)
        self.alpha, self.period = _checked(self.alpha, self.period)

    def update(self, table: ScoreTable, seen: Observations) -> None:
        table.column("loss_mean")[seen.ids] = average(before(table, seen, "loss_mean"), seen.loss, self.alpha)

    def select(self, request: Request) -> Selection:
        scores = usable(request.table, request.table.extra["loss_mean"])
        held = held_over(request, self.period)
        return filled_up(held, scores, request, explored=int(self.epsilon * (request.k - len(held))))


@dataclass(repr=False)
class UCB(Policy):
    """The k highest upper confidence bounds of the loss, m + c·v.

    m and v are sample i's exponential moving averages of the loss (nats) and of its squared deviation
    (nats²), written after each epoch for the samples that it observed:

        v ← (1 - α)·v + α·(L - m)²,    m ← (1 - α)·m + α·L        (m on the right is the old one)

    and v = 0, m = L at the first observation. Samples never seen come first, as an arm that was never
    pulled; a sample left out keeps its bound.

    Source: Raju et al., arXiv:2111.12621. The paper's text was not at hand: rule and defaults are those on
    which two public reimplementations agree, one of them by InfoBatch's authors. Departures from both:
    they select every tenth epoch (``period=10``), and their first deviation is from zero, so that v
    starts at α·L².

    Args:
        c: weight of the variance, at least 0; 0 ranks by average loss.
        alpha: α in (0, 1], weight of the newest observation.
        period: as in :class:`EpsilonGreedy`.
    """

    c: float = 1.0
    alpha: float = 0.8
    period: int = 1

    name = "ucb"
    source = "Raju et al. 2021, arXiv:2111.12621, after public reimplementations"
    columns: ClassVar[dict[str, float]] = {
        "loss_mean": _NEVER, "loss_variance": 0.0, "loss_mean_before": _NEVER, "loss_variance_before": 0.0,
    }  # fmt: skip

    def __post_init__(self) -> None:
        self.c = number("c", self.c, "a finite number of at least 0", lambda c: 0 <= c < np.inf)
        self.alpha, self.period = _checked(self.alpha, self.period)

    def update(self, table: ScoreTable, seen: Observations) -> None:
        mean, variance = (before(table, seen, name) for name in ("loss_mean", "loss_variance"))
        deviation = np.where(np.isinf(mean), 0.0, seen.loss.astype(np.float64) - mean)
        spread = np.minimum((1 - self.alpha) * variance + self.alpha * deviation**2, _MOST)
        table.column("loss_variance")[seen.ids] = spread
        table.column("loss_mean")[seen.ids] = average(mean, seen.loss, self.alpha)

    def select(self, request: Request) -> Selection:
        mean, variance = request.table.extra["loss_mean"], request.table.extra["loss_variance"]
        with np.errstate(over="ignore"):
            bound = np.minimum(mean + self.c * variance.astype(np.float64), _MOST)
        scores = usable(request.table, np.where(np.isinf(mean), np.inf, bound))
        return filled_up(held_over(request, self.period), scores, request)


def before(table: ScoreTable, seen: Observations, name: str) -> Floats:
    """float32, shape [M]: a column as it was before this epoch, which the column ``<name>_before`` remembers.

    An epoch's observations may come in several parts, where a state is saved or a report asked for in between, and one
    sample in several of them. The last of these counts, and the others leave no trace.
    """
    remembered, ids = table.column(f"{name}_before"), seen.ids
    again = (table.last_seen[ids] == seen.epoch) & ~np.isnan(table.loss[ids])
    remembered[ids] = np.where(again, remembered[ids], table.column(name)[ids])
    return remembered[ids]


def average(mean: Floats, loss: Floats, alpha: float) -> Floats:
    """(1 - α)·mean + α·loss; the loss itself where the mean is +inf, that is, where there is none yet.

    >>> average(np.float32([1, np.inf]), np.float32([2, 3]), alpha=0.5).tolist()
    [1.5, 3.0]
    """
    new = loss.astype(np.float64)
    old = np.where(np.isinf(mean), new, mean)
    return ((1 - alpha) * old + alpha * new).astype(np.float32)


def usable(table: ScoreTable, scores: np.ndarray) -> Floats:
    """The scores as float32, NaN for quarantined samples."""
    return np.where(np.isnan(table.loss), np.float32(np.nan), scores.astype(np.float32))


def held_over(request: Request, period: int) -> np.ndarray:
    """int64: what the last epoch observed, if this one is not to select; else nothing.

    Nothing too where that is more than k: after a full epoch, or at a rising rate.
    """
    last = np.flatnonzero(request.table.last_seen == request.epoch - 1)
    return last if request.epoch % period and len(last) <= request.k else last[:0]


def filled_up(held: np.ndarray, scores: Floats, request: Request, explored: int = 0) -> Selection:
    """``held``, the best of the others, and ``explored`` of what then is left at random: k in all."""
    parts, rng = [held], request.rng()
    free = np.ones(len(scores), dtype=bool)
    free[held] = False
    if best := request.k - len(held) - explored:
        rest = np.flatnonzero(free)
        parts.append(rest[top(scores[rest], best, rng).ids])
        free[parts[-1]] = False
    if explored:
        rest = np.flatnonzero(free)
        parts.append(rest[sample(scores[rest], explored, rng, gamma=0).ids])
    return Selection(np.concatenate(parts))


def _checked(alpha: float, period: int) -> tuple[float, int]:
    allowed = "a number in (0, 1]"
    return number("alpha", alpha, allowed, lambda value: 0 < value <= 1), integer("period", period, 1)
