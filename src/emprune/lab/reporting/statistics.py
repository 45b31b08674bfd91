"""Statistics over finished runs: groups on equal budgets, and one row for each policy and rate."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from emprune.errors import ArgumentError
from emprune.lab.reporting.bootstrap import Estimate, gap_closed, mean, paired_difference
from emprune.lab.results import Result
from emprune.lab.spec import SHORT
from emprune.policies import REGISTRY

FULL, RANDOM = "full", "random"


@dataclass(frozen=True, order=True)
class Setting:
    """What runs must share to stand in one table.

    Attributes:
        recipe: the recipe as sorted JSON, so that settings can be compared and hashed.
    """

    data: str
    model: str
    split: str
    label_noise: float
    anneal: float
    budget: str
    recipe: str

    @classmethod
    def of(cls, result: Result) -> Setting:
        """The setting of a run."""
        recipe = json.dumps(result.recipe, sort_keys=True)
        return cls(
            result.data, result.model, result.split, result.label_noise, result.anneal, result.budget, recipe
        )  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One policy at one rate in one setting, over its seeds.

    Attributes:
        setting, policy, prune_rate, seeds: what it is; seeds in ascending order.
        accuracy, remembered, remembered_true: percent, means over seeds.
        difference: accuracy minus the reference policy's at the same rate, percentage points, over the
            seeds that both have; None for ``full`` and where there are no such seeds.
        gap_closed: fraction, see :func:`~emprune.lab.reporting.bootstrap.gap_closed`; None for ``full`` and
            where it is undefined.
        realised_rate, samples_backward, optimizer_steps: means over seeds.
        seconds_train, seconds_select, seconds_total: means over seeds.
    """

    setting: Setting
    policy: str
    prune_rate: float
    seeds: tuple[int, ...]
    accuracy: Estimate
    remembered: Estimate
    remembered_true: Estimate
    difference: Estimate | None
    gap_closed: Estimate | None
    realised_rate: float
    samples_backward: int
    optimizer_steps: int
    seconds_train: float
    seconds_select: float
    seconds_total: float


def by_setting(results: Iterable[Result]) -> dict[Setting, list[Result]]:
    """Group runs by setting, in the settings' order; a run listed twice counts once."""
    unique = {result.run_id: result for result in results}
    groups: dict[Setting, list[Result]] = {}
    for result in unique.values():
        groups.setdefault(Setting.of(result), []).append(result)
    return dict(sorted(groups.items()))


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


def check_budgets(results: Iterable[Result]) -> None:
    """Make sure that accuracies compared at one rate were paid for with the same number of samples.

    ``full`` is the reference with more, and left out.

    Raises:
        ArgumentError: two runs of one setting and rate trained different numbers of samples; names both.
    """
    first: dict[tuple[Setting, float], Result] = {}
    for run in results:
        if run.policy == FULL:
            continue
        other = first.setdefault((Setting.of(run), run.prune_rate), run)
        if run.samples_backward != other.samples_backward:
            raise ArgumentError(
                f"samples_backward of {run.policy} (seed {run.seed}) at prune rate {run.prune_rate:g}",
                run.samples_backward,
                f"{other.samples_backward}, as {other.policy} (seed {other.seed}) trained at that rate",
                "Runs of different budgets cannot be ranked against each other.",
            )


def summarise(results: Iterable[Result], reference: str = RANDOM) -> list[Row]:
    """One row for each policy and rate of each setting.

    Args:
        results: runs of any number of settings.
        reference: policy that differences and gaps are measured against.

    Raises:
        ArgumentError: budgets differ, see :func:`check_budgets`.
    """
    settings = by_setting(results)
    rows = []
    for setting, runs in settings.items():
        check_budgets(runs)
        cells = by_cell(runs)
        full = _accuracies(cells.get((FULL, 0.0), {}))
        for (policy, rate), seeds in cells.items():
            base = {} if policy == FULL else _accuracies(cells.get((reference, rate), {}))
            rows.append(_row(setting, policy, rate, seeds, base, full))
    return rows


def _row(
    setting: Setting, policy: str, rate: float, runs: dict[int, Result],
    random: dict[int, float], full: dict[int, float],
) -> Row:  # fmt: skip
    own, every = _accuracies(runs), list(runs.values())
    paired = [seed for seed in own if seed in random]
    tripled = [seed for seed in paired if seed in full]
    return Row(
        setting=setting,
        policy=policy,
        prune_rate=rate,
        seeds=tuple(runs),
        accuracy=mean(list(own.values())),
        remembered=mean([100 * run.remembered for run in every]),
        remembered_true=mean([100 * run.remembered_true for run in every]),
        difference=paired_difference(_pick(own, paired), _pick(random, paired)) if paired else None,
        gap_closed=gap_closed(_pick(own, tripled), _pick(random, tripled), _pick(full, tripled)) if tripled else None,
        realised_rate=_average([run.realised_rate for run in every]),
        samples_backward=round(_average([run.samples_backward for run in every])),
        optimizer_steps=round(_average([run.optimizer_steps for run in every])),
        seconds_train=_average([run.seconds["train"] for run in every]),
        seconds_select=_average([run.seconds["select"] for run in every]),
        seconds_total=_average([run.seconds["total"] for run in every]),
    )


def _accuracies(runs: dict[int, Result]) -> dict[int, float]:
    return {seed: 100 * run.accuracy for seed, run in runs.items()}


def _pick(values: dict[int, float], seeds: Sequence[int]) -> list[float]:
    return [values[seed] for seed in seeds]


def _average(values: Sequence[float]) -> float:
    return float(np.mean(values))
