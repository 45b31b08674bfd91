"""Speed-up at equal metric value: what plain training would have to spend for what a policy reaches."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emprune_lab.report.intervals import agree, student_t

LEAST_SEEDS = 3
"""Of fewer seeds there is no interval: most would span all plain runs, and those that say something would be the
lucky ones too often, see ``python -m studies.intervals``."""

Bound = Literal["", "≥", "≤"]
"""Whether a number is only known to be at least, or at most, so much: beyond the plain runs nothing is claimed."""
Values = Mapping[int, float]
"""Seed → metric value, of which higher is better."""


@dataclass(frozen=True)
class SpeedUp:
    """What plain training needs for the same value, over what the policy spent: samples, or seconds.

    Attributes:
        value: of the means over the seeds.
        bound: "≥" where the policy is better than all plain runs, "≤" where it is worse; the value is then that of the
            longest or shortest plain run.
        low: lower end of the 95 % interval; None where there is none.
        high: its upper end, likewise.
        low_bound: whether the lower end is a bound, since the interval reaches beyond the plain runs. Both ends are "≥"
            of a policy that is significantly better than all plain runs, and "≤" of one that is worse.
        high_bound: of the upper end, likewise.
        count: seeds that the policy and all plain runs have.
    """

    value: float
    bound: Bound = ""
    low: float | None = None
    high: float | None = None
    low_bound: Bound = ""
    high_bound: Bound = ""
    count: int = 1

    @property
    def sign(self) -> int:
        """+1 or −1 where it is significantly above or below one, else 0; 0 without an interval."""
        if self.low is None or self.high is None:
            return 0
        above = self.low_bound != "≤" and (self.low > 1 or (self.low == 1 and self.low_bound == "≥"))
        below = self.high_bound != "≥" and (self.high < 1 or (self.high == 1 and self.high_bound == "≤"))
        return int(above) - int(below)

    def slowed(self, most: float) -> SpeedUp:
        """In seconds, where a sample of the policy takes between one and ``most`` times as long as in plain training.

        Value and lower end are divided by ``most``; an upper end, or a value that is an upper bound, is not.
        """
        low = None if self.low is None else self.low / most
        return replace(self, value=self.value if self.bound == "≤" else self.value / most, low=low)


@dataclass(frozen=True)
class Ladder:
    """Plain training on all data at several budgets, each with its schedule to the end.

    Attributes:
        samples: ascending.
        values: the best that was reached with no more samples; higher is better.
    """

    samples: tuple[float, ...]
    values: tuple[float, ...]

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> Ladder | None:
        """From (samples, value), of which higher is better; None of fewer than two budgets."""
        ordered = sorted(points)
        if len({samples for samples, _ in ordered}) < 2:
            return None
        values = np.maximum.accumulate([value for _, value in ordered])
        return cls(tuple(samples for samples, _ in ordered), tuple(map(float, values)))

    def speed_up(self, samples: float, value: float) -> SpeedUp:
        """Of a policy that reaches ``value`` with so many samples; log-linear between two budgets.

        >>> Ladder((100.0, 400.0), (80.0, 90.0)).speed_up(100, 85.0).value
        2.0
        >>> better = Ladder((100.0, 400.0), (80.0, 90.0)).speed_up(200, 95.0)
        >>> better.bound, better.value
        ('≥', 2.0)
        """
        if value < self.values[0]:
            return SpeedUp(self.samples[0] / samples, "≤")
        if value > self.values[-1]:
            return SpeedUp(self.samples[-1] / samples, "≥")
        above = int(np.searchsorted(self.values, value))  # the first that reaches it
        if self.values[above] == value:
            return SpeedUp(self.samples[above] / samples)
        (low, high), (few, many) = self.values[above - 1 : above + 1], np.log(self.samples[above - 1 : above + 1])
        needed = float(np.exp(few + (many - few) * (value - low) / (high - low)))
        return SpeedUp(round(needed / samples, 12))


def speed_up(
    plain: Mapping[float, Values], samples: float, values: Values, *, least_seeds: int = LEAST_SEEDS
) -> SpeedUp | None:
    """Speed-up of a policy with its 95 % interval, over the seeds that it and all plain runs have.

    The value is that of the means, monotone in the samples. The interval is made as Fieller's (1954) of a quotient: all
    budgets s from which the policy's mean difference to plain training with s samples, paired by seed, does not differ
    significantly from zero by Student's t. Between two budgets each seed's plain values are log-linear in s, without a
    running maximum, which noise would raise; so at the right budget the difference has mean zero, and the set holds
    that budget in 95 % of repetitions at every number of seeds, if values vary about normally and plain training is
    log-linear in between. What the set leaves open at either end is a bound.

    Args:
        plain: samples of a budget → its runs, of plain training on all the data with the schedule to its end.
        samples: that the policy trained, on average.
        values: what it reached.

    Returns:
        None of fewer than two budgets, or of no seed that all have. Without an interval of fewer than ``least_seeds``,
        and where the differences of all seeds to some budget agree to the last digit.

    >>> plain = {100: {0: 80.0, 1: 80.3, 2: 80.1}, 400: {0: 90.0, 1: 90.2, 2: 90.3}}
    >>> found = speed_up(plain, 100, {0: 85.0, 1: 85.2, 2: 85.4})
    >>> round(found.value, 2), round(found.low, 2), round(found.high, 2)
    (2.01, 1.92, 2.1)
    """
    budgets = sorted(plain)
    seeds = [seed for seed in values if all(seed in plain[budget] for budget in budgets)]
    if len(budgets) < 2 or not seeds:
        return None
    reached = np.array([values[seed] for seed in seeds])
    table = np.array([[plain[budget][seed] for seed in seeds] for budget in budgets])
    best = np.maximum.accumulate(table.mean(axis=1)).tolist()
    found = replace(Ladder(tuple(budgets), tuple(best)).speed_up(samples, float(reached.mean())), count=len(seeds))
    differences = reached - table
    if len(seeds) < max(least_seeds, 2) or any(agree(one) for one in differences):
        return found
    (low, low_bound), (high, high_bound) = _needed(budgets, differences)
    return replace(found, low=low / samples, high=high / samples, low_bound=low_bound, high_bound=high_bound)


def _needed(budgets: Sequence[float], differences: NDArray[np.float64]) -> tuple[tuple[float, Bound], ...]:
    """Both ends of the set: from the first budget than which the policy is not significantly better, to the first than
    which it is significantly worse.

    Args:
        budgets: samples, ascending.
        differences: shape [budgets, seeds], of the policy to plain training.
    """
    least, most, logs = budgets[0], budgets[-1], np.log(budgets)
    factor = student_t(differences.shape[1]) ** 2 / differences.shape[1]
    first = differences[0].mean() / (factor * differences[0].var(ddof=1)) ** 0.5
    if first < -1:
        return (least, "≤"), (least, "≤")
    above: list[float] = []
    below: list[float] = []
    for place, (few, many) in enumerate(itertools.pairwise(differences)):
        for part in _significance(few, many - few, factor):
            better = few.mean() + part * (many - few).mean() > 0
            (above if better else below).append(float(np.exp(logs[place] + part * (logs[place + 1] - logs[place]))))
    if first > 1 and not above:
        return (most, "≥"), (most, "≥")
    low: tuple[float, Bound] = (above[0], "") if first > 1 else (least, "≤")
    return low, (below[0], "") if below else (most, "≥")


def _significance(start: NDArray[np.float64], slope: NDArray[np.float64], factor: float) -> list[float]:
    """The u in [0, 1], ascending, at which the mean of start + u·slope becomes significant or stops being it."""
    a, b = float(start.mean()), float(slope.mean())
    (aa, ab), (_, bb) = factor * np.cov(start, slope)
    roots = np.roots([b * b - bb, 2 * (a * b - ab), a * a - aa])
    real = np.sort(roots.real[np.abs(roots.imag) < _CLOSE])
    return [min(max(float(root), 0.0), 1.0) for root in real if -_CLOSE <= root <= 1 + _CLOSE]


_CLOSE = 1e-9
