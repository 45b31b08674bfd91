"""Statistics over finished runs: one row for each policy and rate of a setting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from emprune.errors import ArgumentError
from emprune.policies import REGISTRY
from emprune_lab.records.metrics import Metric, metric_named
from emprune_lab.records.results import Result
from emprune_lab.reporting.bootstrap import gap_closed
from emprune_lab.reporting.costs import FULL, RANDOM, Cost, check_budgets, cost_of, own_budget
from emprune_lab.reporting.estimate import Estimate, Interval
from emprune_lab.reporting.intervals import check_interval, mean, paired_difference
from emprune_lab.reporting.measures import Measure, measures_of
from emprune_lab.reporting.settings import Setting, by_setting
from emprune_lab.specs.spec import SHORT


@dataclass(frozen=True)
class Row:
    """One policy at one rate in one setting, over its seeds.

    Attributes:
        setting, policy, prune_rate, seeds: what it is; seeds in ascending order.
        reference: the policy that the difference is taken to.
        own_budget: whether the policy decides itself how many samples it trains; such a row is not ranked.
        metric: the measure, which says whether higher is better.
        accuracy: its scaled value, for accuracy percent, mean over seeds. remembered, remembered_true: likewise,
            percent.
        difference: accuracy minus the reference policy's at the same rate, in the metric's scale, over the seeds
            that both have; None for ``full``, for an own budget and where there are no such seeds.
        gap_closed: fraction of the way from ``random`` to ``full``, whatever the reference, see
            :func:`~emprune_lab.reporting.bootstrap.gap_closed`; None for these two, for an own budget and where
            it is undefined.
        cost: samples, steps and seconds.
        measures: every measure of the runs, the headline first; none where they have but that one.
    """

    setting: Setting
    policy: str
    prune_rate: float
    seeds: tuple[int, ...]
    reference: str
    own_budget: bool
    metric: Metric
    accuracy: Estimate
    remembered: Estimate
    remembered_true: Estimate
    difference: Estimate | None
    gap_closed: Estimate | None
    cost: Cost
    measures: tuple[Measure, ...]

    @property
    def ranked(self) -> bool:
        """Whether it stands among the policies of its rate: neither ``full`` nor with a budget of its own."""
        return self.policy != FULL and not self.own_budget

    @property
    def gain(self) -> int:
        """+1 where the difference's interval says that it is better than the reference, −1 worse; else 0."""
        return 0 if self.difference is None else self.difference.sign * self.metric.sign


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


def summarise(results: Iterable[Result], reference: str = RANDOM, interval: Interval = "student") -> list[Row]:
    """One row for each policy and rate of each setting.

    Args:
        results: runs of any number of settings.
        reference: label of the policy that differences are taken to.
        interval: of means and differences; gap closed, a quotient, always has that of the bootstrap.

    Raises:
        ArgumentError: budgets differ, see :func:`~emprune_lab.reporting.costs.check_budgets`; the reference is not in
            the results; or the interval is unknown.
    """
    results = list(results)
    check_interval(interval)
    check_reference(results, reference)
    rows = []
    for setting, runs in by_setting(results).items():
        check_budgets(runs)
        cells = by_cell(runs)
        for (policy, rate), seeds in cells.items():
            rows.append(_row(setting, policy, rate, seeds, cells, reference, interval))
    return rows


def _row(
    setting: Setting, policy: str, rate: float, runs: dict[int, Result],
    cells: dict[tuple[str, float], dict[int, Result]], reference: str, interval: Interval,
) -> Row:  # fmt: skip
    every, full = list(runs.values()), cells.get((FULL, 0.0), {})
    metric = metric_named(every[0].metric)
    accuracy = _accuracies(runs, metric)
    compared = policy != FULL and not own_budget(policy)
    base = cells.get((reference, 0.0 if reference == FULL else rate), {}) if compared else {}
    random = cells.get((RANDOM, rate), {}) if compared and policy != RANDOM else {}
    paired = [seed for seed in accuracy if seed in base and policy != reference]
    tripled = [seed for seed in accuracy if seed in random and seed in full]
    return Row(
        setting=setting,
        policy=policy,
        prune_rate=rate,
        seeds=tuple(runs),
        reference=reference,
        own_budget=own_budget(policy),
        metric=metric,
        accuracy=mean(list(accuracy.values()), interval),
        remembered=mean([100 * run.remembered for run in every], interval),
        remembered_true=mean([100 * run.remembered_true for run in every], interval),
        difference=paired_difference(_pick(accuracy, paired), _pick(_accuracies(base, metric), paired), interval)
        if paired
        else None,
        gap_closed=gap_closed(
            *(metric.sign * np.array(_pick(_accuracies(one, metric), tripled)) for one in (runs, random, full))
        )
        if tripled
        else None,
        cost=cost_of(every, [] if policy == FULL else list(full.values())),
        measures=measures_of(runs, base if policy != reference else {}, interval),
    )


def _accuracies(runs: dict[int, Result], metric: Metric) -> dict[int, float]:
    return {seed: metric.scale * run.accuracy for seed, run in runs.items()}


def _pick(values: dict[int, float], seeds: Sequence[int]) -> list[float]:
    return [values[seed] for seed in seeds]
