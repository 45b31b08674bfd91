"""Every measure of the runs of one policy at one rate, where they have more than the headline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emprune_lab.records.metrics import METRICS, Metric, metric_named
from emprune_lab.records.results import Result
from emprune_lab.reporting.estimate import Estimate, Interval
from emprune_lab.reporting.intervals import mean, paired_difference


@dataclass(frozen=True)
class Measure:
    """One measure over the seeds that have it.

    Attributes:
        metric: which. value: its scaled mean.
        difference: to the reference policy at the same rate, paired by seed; None where there is none.
    """

    metric: Metric
    value: Estimate
    difference: Estimate | None

    @property
    def gain(self) -> int:
        """+1 where the difference's interval says that it is better than the reference, −1 worse; else 0."""
        return 0 if self.difference is None else self.difference.sign * self.metric.sign


def measures_of(runs: Mapping[int, Result], base: Mapping[int, Result], interval: Interval) -> tuple[Measure, ...]:
    """The measures of one policy's runs, the headline first; empty where they have no other.

    Args:
        runs: seed → run, at least one. base: those of the reference at the same rate; empty: no difference.
        interval: of means and differences.

    What a task measures besides, under a name that is no key of METRICS, stays in the results: nothing says which
    way it is better, or how to write it.

    Raises:
        ArgumentError: the headline is not known.
    """
    further = [name for run in runs.values() for name in run.metrics if name in METRICS]
    names = dict.fromkeys([*(run.metric for run in runs.values()), *further])
    return tuple(_measure(name, runs, base, interval) for name in names) if len(names) > 1 else ()


def _measure(name: str, runs: Mapping[int, Result], base: Mapping[int, Result], interval: Interval) -> Measure:
    metric = metric_named(name)
    own, other = _values(metric, runs), _values(metric, base)
    paired = [seed for seed in own if seed in other]
    difference = (
        paired_difference([own[seed] for seed in paired], [other[seed] for seed in paired], interval)
        if paired
        else None
    )
    return Measure(metric, mean(list(own.values()), interval), difference)


def _values(metric: Metric, runs: Mapping[int, Result]) -> dict[int, float]:
    """Scaled values by seed, of the runs that have the measure."""
    found = {seed: {**run.metrics, run.metric: run.accuracy}.get(metric.name) for seed, run in runs.items()}
    return {seed: metric.scale * value for seed, value in found.items() if value is not None}
