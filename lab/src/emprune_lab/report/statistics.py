"""Statistics over finished runs: one row for each policy and rate of a setting, with every measure of its runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emprune.errors import ArgumentError
from emprune.policies import REGISTRY
from emprune_lab.records.metrics import METRICS, Metric, metric_named, own_metric
from emprune_lab.records.results import Result
from emprune_lab.report.costs import FULL, PLAIN, RANDOM, Cost, check_budgets, cost_of, own_budget, seconds_of
from emprune_lab.report.equal import SpeedUp, speed_up
from emprune_lab.report.intervals import Estimate, gap_closed, mean, paired_difference
from emprune_lab.report.settings import Setting, by_setting
from emprune_lab.specs.spec import SHORT

Cells = Mapping[tuple[str, float], Mapping[int, Result]]
"""(policy, prune rate) → seed → run."""
Plain = Mapping[float, Mapping[int, float]]
"""Samples of plain training → seed → value of the metric, higher is better."""


@dataclass(frozen=True)
class Measure:
    """One metric over the seeds that have it.

    Attributes:
        mean: of its scaled value.
        difference: to the reference policy at the same rate, in the same scale, over the seeds that both have; None
            where there is no such seed, for ``full`` and for an own budget.
    """

    metric: Metric
    mean: Estimate
    difference: Estimate | None

    @property
    def gain(self) -> int:
        """+1 where it is significantly better than the reference, −1 worse; else 0."""
        return 0 if self.difference is None else self.difference.sign * self.metric.sign


@dataclass(frozen=True)
class Row:
    """One policy at one rate in one setting, over its seeds.

    Attributes:
        seeds: in ascending order.
        reference: the policy that differences are taken to.
        own_budget: whether the policy decides itself how many samples it trains; such a row is not ranked.
        measures: the metric that heads the comparison, then all others of the runs.
        remembered, remembered_true: percent; None where the runs do not know.
        gap_closed: fraction of the way from ``random`` to ``full``, whatever the reference, see
            :func:`~emprune_lab.report.intervals.gap_closed`; None for these two, for an own budget and where it is
            undefined.
        to_full: the difference of that metric to ``full``, as :attr:`Measure.difference`; None for ``full`` itself.
        cost: samples, steps and seconds.
        seconds_saved: fraction of the seconds of ``full``, paired by seed; None for ``full`` itself, where there is no
            such seed, and where they were not run on the same machine.
        speed_up: in samples at equal value of that metric, against ``short`` and ``full``; None for these two, where
            there are fewer than two budgets of them, and where there is no seed that all have.
    """

    setting: Setting
    policy: str
    prune_rate: float
    seeds: tuple[int, ...]
    reference: str
    own_budget: bool
    measures: tuple[Measure, ...]
    remembered: Estimate | None
    remembered_true: Estimate | None
    gap_closed: Estimate | None
    to_full: Estimate | None
    cost: Cost
    seconds_saved: Estimate | None
    speed_up: SpeedUp | None

    @property
    def metric(self) -> Metric:
        """What heads the comparison."""
        return self.measures[0].metric

    @property
    def mean(self) -> Estimate:
        """The scaled value of that metric."""
        return self.measures[0].mean

    @property
    def difference(self) -> Estimate | None:
        """Its difference to the reference."""
        return self.measures[0].difference

    @property
    def speed_up_in_seconds(self) -> SpeedUp | None:
        """The speed-up with the policy's overhead paid for; None where plain training ran on another machine."""
        if self.speed_up is None or self.cost.overhead is None:
            return None
        return self.speed_up.slowed(self.cost.overhead)

    def measure(self, metric: Metric) -> Measure | None:
        """What its runs have of a metric."""
        return next((one for one in self.measures if one.metric == metric), None)

    @property
    def ranked(self) -> bool:
        """Whether it stands among the policies of its rate: neither ``full`` nor with a budget of its own."""
        return self.policy != FULL and not self.own_budget


def by_cell(results: Iterable[Result]) -> dict[tuple[str, float], dict[int, Result]]:
    """Group one setting's runs: (policy, prune rate) → seed → run.

    ``full`` comes first, rates ascend, policies stand in :func:`policy_order`.
    """
    runs = list(results)
    order = policy_order(run.policy for run in runs)
    runs.sort(key=lambda run: (run.policy != FULL, run.prune_rate, order.index(run.policy), run.seed))
    cells: dict[tuple[str, float], dict[int, Result]] = {}
    for run in runs:
        cells.setdefault((run.policy, 0.0 if run.policy == FULL else run.prune_rate), {})[run.seed] = run
    return cells


def policy_order(policies: Iterable[str]) -> list[str]:
    """Each policy once: references first, then as registered, variants of one policy as they come.

    >>> policy_order(["emp:beta=2", "emp", "random", "full", "emp"])
    ['full', 'random', 'emp:beta=2', 'emp']
    """
    known = [FULL, SHORT, *REGISTRY]
    names = {policy: policy.split(":")[0] for policy in policies}
    return sorted(names, key=lambda policy: known.index(names[policy]) if names[policy] in known else len(known))


def check_reference(results: Iterable[Result], reference: str) -> None:
    """Make sure that there is a reference to take differences to.

    ``random``, the default, may be missing: then there are no differences.

    Raises:
        ArgumentError: no run has this policy, or it has a budget of its own.
    """
    policies = policy_order(run.policy for run in results)
    allowed = [policy for policy in policies if not own_budget(policy)]
    if reference in policies and own_budget(reference):
        hint = f"{reference} decides itself how many samples it trains, so a difference to it compares unequal budgets."
        raise ArgumentError("reference", reference, f"one of {', '.join(allowed)}", hint)
    if reference not in policies and reference != RANDOM:
        raise ArgumentError("reference", reference, f"a policy of these results: {', '.join(allowed)}")


def summarise(results: Iterable[Result], reference: str = RANDOM) -> list[Row]:
    """One row for each policy and rate of each setting.

    Args:
        results: runs of any number of settings.
        reference: label of the policy that differences are taken to.

    Raises:
        ArgumentError: budgets differ, see :func:`~emprune_lab.report.costs.check_budgets`; the reference is not in
            the results; the metric is unknown.
    """
    results = list(results)
    check_reference(results, reference)
    rows = []
    for setting, runs in by_setting(results).items():
        check_budgets(runs)
        cells, known = by_cell(runs), metrics_of(runs)
        plain = _plain(cells, known)
        rows += [_row(setting, policy, rate, cells, reference, plain, known) for policy, rate in cells]
    return rows


def metrics_of(runs: Sequence[Result]) -> Mapping[str, Metric]:
    """The measures by name that runs of one setting can be read by: those of the laboratory, or the user's own.

    Raises:
        ArgumentError: they are headed by different measures.
    """
    first, full = runs[0], [run.accuracy for run in runs if run.policy == FULL]
    if first.higher_is_better is None:
        return METRICS
    if other := next((run for run in runs if run.metric != first.metric), None):
        raise ArgumentError(
            "metric", other.metric, f"{first.metric} in all runs of {first.data}", "The same command reads all by one."
        )  # fmt: skip
    reached = float(np.mean(full or [run.accuracy for run in runs]))
    return {first.metric: own_metric(first.metric, first.higher_is_better, reached)}


def _row(
    setting: Setting, policy: str, rate: float, cells: Cells, reference: str, plain: Plain, known: Mapping[str, Metric]
) -> Row:
    runs, full = cells[policy, rate], cells.get((FULL, 0.0), {})
    every = list(runs.values())
    compared = policy != FULL and not own_budget(policy)
    base = cells.get((reference, 0.0 if reference == FULL else rate), {}) if compared and policy != reference else {}
    random = cells.get((RANDOM, rate), {}) if compared and policy != RANDOM else {}
    measures = tuple(_measure(metric, runs, base) for metric in _metrics(every, known))
    plain_runs = [run for (name, _), group in cells.items() if name in PLAIN for run in group.values()]
    cost = cost_of(every, [] if policy == FULL else list(full.values()), plain_runs)
    reached = {} if policy in PLAIN else _gains(measures[0].metric, runs)
    return Row(
        setting=setting,
        policy=policy,
        prune_rate=rate,
        seeds=tuple(runs),
        reference=reference,
        own_budget=own_budget(policy),
        measures=measures,
        remembered=_percent(run.remembered for run in every),
        remembered_true=_percent(run.remembered_true for run in every),
        gap_closed=_gap(measures[0].metric, runs, random, full),
        to_full=None if policy == FULL else _measure(measures[0].metric, runs, full).difference,
        cost=cost,
        seconds_saved=None if policy == FULL else _seconds_saved(runs, full),
        speed_up=speed_up(plain, cost.samples_trained, reached),
    )


def _percent(fractions: Iterable[float | None]) -> Estimate | None:
    """The mean of fractions in percent; None where one is not known."""
    values = list(fractions)
    known = [100 * value for value in values if value is not None]
    return mean(known) if len(known) == len(values) else None


def _seconds_saved(runs: Mapping[int, Result], full: Mapping[int, Result]) -> Estimate | None:
    """As :attr:`Row.seconds_saved`: by the geometric mean of the quotients, so that no end is above 1."""
    paired = [(run, full[seed]) for seed, run in runs.items() if seed in full]
    if not paired or len({one.device for pair in paired for one in pair}) > 1:
        return None
    spent = np.array([(seconds_of([run]), seconds_of([other])) for run, other in paired])
    if not (spent > 0).all():
        return None
    part = mean(np.log(spent[:, 0] / spent[:, 1]))
    low, high = (
        (None, None) if part.high is None or part.low is None else (-math.expm1(part.high), -math.expm1(part.low))
    )
    return Estimate(-math.expm1(part.value), low, high, part.count)


def _plain(cells: Cells, known: Mapping[str, Metric]) -> Plain:
    """Plain training: ``full``, and ``short`` at every rate."""
    plain: dict[float, dict[int, float]] = {}
    for (policy, _), runs in cells.items():
        if policy in PLAIN:
            every = list(runs.values())
            samples = float(np.mean([run.samples_backward for run in every]))
            plain.setdefault(samples, {}).update(_gains(_metrics(every, known)[0], runs))
    return plain


def _metrics(runs: Iterable[Result], known: Mapping[str, Metric]) -> list[Metric]:
    """The runs' metrics, the headline first.

    What a task measures under a name that is not known stays in the results: nothing says which way it is better, or
    how to write it.
    """
    heads, further = [run.metric for run in runs], [name for run in runs for name in run.metrics if name in known]
    return [known.get(name) or metric_named(name) for name in dict.fromkeys([*heads, *further])]


def _measure(metric: Metric, runs: Mapping[int, Result], base: Mapping[int, Result]) -> Measure:
    own, other = _values(metric, runs), _values(metric, base)
    paired = [seed for seed in own if seed in other]
    difference = paired_difference([own[seed] for seed in paired], [other[seed] for seed in paired]) if paired else None
    return Measure(metric, mean(list(own.values())), difference)


def _gap(metric: Metric, *groups: Mapping[int, Result]) -> Estimate | None:
    values = [_values(metric, runs) for runs in groups]
    seeds = [seed for seed in values[0] if all(seed in one for one in values)]
    return gap_closed(*(metric.sign * np.array([one[seed] for seed in seeds]) for one in values)) if seeds else None


def _gains(metric: Metric, runs: Mapping[int, Result]) -> dict[int, float]:
    """Values by seed, of which higher is better."""
    return {seed: metric.sign * value for seed, value in _values(metric, runs).items()}


def _values(metric: Metric, runs: Mapping[int, Result]) -> dict[int, float]:
    """Scaled values by seed, of the runs that have the metric."""
    found = {seed: {**run.metrics, run.metric: run.accuracy}.get(metric.name) for seed, run in runs.items()}
    return {seed: metric.scale * value for seed, value in found.items() if value is not None}
