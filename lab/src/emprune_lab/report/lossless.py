"""Lossless rate: how much of the samples can be left out before full data is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emprune_lab.records.metrics import Metric
from emprune_lab.report.intervals import Estimate
from emprune_lab.report.statistics import Row, policy_order

MARGIN = 0.3
"""Points that a loss must stay below: percentage points of an accuracy, and :attr:`Metric.point` says of what else."""


@dataclass(frozen=True)
class Lossless:
    """How far one policy can be pruned without loss.

    Attributes:
        rows: of all rates that were tried and have an interval of the difference to ``full``, ascending.
        row: that of the highest rate at which the worse end of the 95 % interval loses less than MARGIN points; None
            where there is none.
    """

    policy: str
    rows: tuple[Row, ...]
    row: Row | None

    @property
    def rate(self) -> float | None:
        """The lossless prune rate, among those tried."""
        return None if self.row is None else self.row.prune_rate

    @property
    def next(self) -> Row | None:
        """The lowest rate above it that was tried; None where nothing higher was."""
        return next((row for row in self.rows if self.rate is None or row.prune_rate > self.rate), None)


def lossless_rates(rows: Sequence[Row]) -> list[Lossless]:
    """The lossless rate of every policy that is pruned and compared with ``full`` on two seeds or more.

    Args:
        rows: of one setting, as :func:`emprune_lab.report.statistics.summarise` orders them.
    """
    compared = [row for row in rows if row.ranked and row.to_full and row.to_full.low is not None]
    found = []
    for policy in policy_order(row.policy for row in compared):
        own = sorted((row for row in compared if row.policy == policy), key=lambda row: row.prune_rate)
        fit = [row for row in own if row.to_full and is_lossless(row.to_full, row.metric)]
        found.append(Lossless(policy, tuple(own), fit[-1] if fit else None))
    return found


def is_lossless(to_full: Estimate, metric: Metric) -> bool:
    """Whether the worse end of a difference to ``full`` loses less than MARGIN points; False without an interval.

    >>> from emprune_lab.records.metrics import Metric
    >>> is_lossless(Estimate(0.1, -0.2, 0.4, 5), Metric("accuracy", "accuracy"))
    True
    >>> is_lossless(Estimate(0.1, -0.5, 0.7, 3), Metric("accuracy", "accuracy"))
    False
    """
    if to_full.low is None or to_full.high is None:
        return False
    worst = to_full.low if metric.higher_is_better else -to_full.high
    return worst > -MARGIN * metric.point


def seconds_saved(row: Row, full: Row) -> float | None:
    """Fraction of the seconds of ``full`` that a policy spares at least: of the samples, less its overhead a sample.

    None where they were not run on the same machine; below zero where choosing costs more than it spares.
    """
    overhead = row.cost.overhead
    return None if overhead is None else 1 - overhead * row.cost.samples_trained / full.cost.samples_trained
