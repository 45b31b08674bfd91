"""One setting's comparison: all that its figures draw from, and which of it they show."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from emprune.errors import DataError
from emprune_lab.data import LabelledData, Split, as_trained
from emprune_lab.inspection.functions import Show
from emprune_lab.records.results import Counts, Result, Samples, Scored, load_counts, load_samples, load_scored
from emprune_lab.report.costs import FULL, PLAIN, own_budget
from emprune_lab.report.pictures import show_of
from emprune_lab.report.settings import Setting
from emprune_lab.report.statistics import Cells, Row, by_cell, policy_order
from emprune_lab.specs.own import is_own
from emprune_lab.tasks import labelled_data, shown_by

C = TypeVar("C", bound=Counts)
Arrays = Mapping[tuple[str, float], Sequence[Samples]]
"""(policy, prune rate) → the per-sample arrays of its seeds."""

MOST_SHOWN = 6
"""Panels or lines side by side that can still be read."""

# The problem, the remedy and the baseline first, then what scores and draws in other ways.
_FIRST = (
    "lfl", "emp-gated", "emp", "random", "scan", "infobatch", "ucb", "orderdp", "seta", "repb", "divbs",
    "epsilon-greedy", "rs2", "short", "static-random",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """The runs of one setting.

    Attributes:
        rows: their statistics, as :func:`emprune_lab.report.statistics.summarise` orders them.
        cells: the runs themselves.
        samples: per-sample arrays by run_id, of the runs that have some.
        own: likewise, of runs of a user's function.
        counts: of those that have nothing else of their samples.
        data_dir: where the data set lies, as for :func:`emprune_lab.data.load`.
        shown: what a sample shows, by its position, as the user says; None: as the data set does.
    """

    rows: Sequence[Row]
    cells: Cells
    samples: Mapping[str, Samples]
    data_dir: str | Path | None = None
    counts: Mapping[str, Counts] = field(default_factory=dict)
    own: Mapping[str, Scored] = field(default_factory=dict)
    shown: Show | None = None

    @classmethod
    def of(
        cls, rows: Sequence[Row], results: Sequence[Result], runs: Path, data_dir: str | Path | None = None,
        shown: Show | None = None,
    ) -> Comparison:  # fmt: skip
        """Read the arrays of the runs from ``runs``, which holds one folder a run, named by its run_id."""
        samples, own, counts = {}, {}, {}
        for result in results:
            folder = runs / result.run_id
            with contextlib.suppress(DataError):
                if not is_own(result.recipe):
                    samples[result.run_id] = load_samples(folder)
                    continue
                counts[result.run_id] = load_counts(folder)
                own[result.run_id] = load_scored(folder)
        return cls(rows, by_cell(results), samples, data_dir, counts, own, shown)

    @property
    def setting(self) -> Setting:
        """What the runs share."""
        return self.rows[0].setting

    @cached_property
    def rated(self) -> list[Row]:
        """The rows of ``full`` and of the rates at which something is pruned: without the rates of a ladder alone."""
        rates = rates_of(self.cells)
        return [row for row in self.rows if row.policy == FULL or row.prune_rate in rates]

    @property
    def pruned(self) -> bool:
        """Whether there is more than full data."""
        return any(row.policy != FULL for row in self.rows)

    @property
    def one_machine(self) -> bool:
        """Whether all runs were on the same machine, so that their seconds can be compared."""
        return len(frozenset().union(*(row.cost.machines for row in self.rows))) == 1

    @cached_property
    def arrays(self) -> Arrays:
        """The arrays of each policy and rate, all seeds, where there are some."""
        return _of_cells(self.cells, self.samples)

    @cached_property
    def equal_arrays(self) -> Arrays:
        """Those of pruned runs of the common budget."""
        return {cell: one for cell, one in self.arrays.items() if cell[0] != FULL and not own_budget(cell[0])}

    @cached_property
    def counted(self) -> Mapping[str, Counts]:
        """What is known of the samples of every run, by run_id, of the runs that have kept it."""
        return {**self.samples, **self.counts}

    @cached_property
    def equal_counts(self) -> Mapping[tuple[str, float], Sequence[Counts]]:
        """That of pruned runs of the common budget, (policy, prune rate) → all seeds."""
        found = _of_cells(self.cells, self.counted)
        return {cell: one for cell, one in found.items() if cell[0] != FULL and not own_budget(cell[0])}

    @cached_property
    def scored(self) -> Mapping[str, Scored]:
        """How hard the samples are, of every run, by run_id, of the runs that have kept it."""
        return {**self.samples, **self.own}

    @cached_property
    def example(self) -> dict[str, Result]:
        """Policy → its pruned run with arrays at the highest rate, all of the first seed there."""
        return self._example(self.samples)

    @cached_property
    def scored_example(self) -> dict[str, Result]:
        """Likewise, of the runs in :attr:`scored`."""
        return self._example(self.scored)

    def _example(self, kept: Mapping[str, Counts]) -> dict[str, Result]:
        rates = rates_of(self.cells)
        shown = [seeds for (policy, rate), seeds in self.cells.items() if policy != FULL and rate in rates]
        runs = [run for seeds in shown for run in seeds.values() if run.run_id in kept]
        if not runs:
            return {}
        rate = max(run.prune_rate for run in runs)
        seed = min(run.seed for run in runs if run.prune_rate == rate)
        return {run.policy: run for run in runs if (run.prune_rate, run.seed) == (rate, seed)}

    @cached_property
    def data(self) -> LabelledData | None:
        """The labelled data set, as the runs of :attr:`example` trained on it; None where there is none.

        Raises:
            DataError: its files are missing.
        """
        run = next(iter(self.example.values()))
        split: Split = "validation" if run.split == "validation" else "test"
        loaded = labelled_data(run.data, run.recipe, self.data_dir, split)
        if loaded is None:
            return None
        return as_trained(loaded, imbalance=run.imbalance, label_noise=run.label_noise, seed=run.seed)

    @cached_property
    def show(self) -> tuple[Show | None, int]:
        """What a sample of the data set shows, by its position, and how many it has; None where nobody says it.

        Raises:
            DataError: its files are missing, or hold another text.
        """
        run = next(iter(self.scored_example.values()))
        if is_own(run.recipe):
            return None, 0
        if self.data is not None:
            return show_of(self.data), len(self.data)
        return shown_by(run.data, run.recipe, self.data_dir, "validation" if run.split == "validation" else "test")


def _of_cells(cells: Cells, kept: Mapping[str, C]) -> dict[tuple[str, float], list[C]]:
    """What is kept of each cell's runs, where there is some."""
    found = {
        cell: [kept[run.run_id] for run in seeds.values() if run.run_id in kept] for cell, seeds in cells.items()
    }  # fmt: skip
    return {cell: arrays for cell, arrays in found.items() if arrays}


def policies_of(cells: Mapping[tuple[str, float], object]) -> list[str]:
    """Their policies, in the report's order."""
    return policy_order(policy for policy, _ in cells)


def rates_of(cells: Mapping[tuple[str, float], object]) -> list[float]:
    """The prune rates at which something is pruned, ascending; of plain training alone, those of ``short``."""
    rates = {rate for policy, rate in cells if policy not in PLAIN}
    return sorted(rates or {rate for policy, rate in cells if policy != FULL})


def shown_of(policies: Sequence[str], most: int = MOST_SHOWN) -> list[str]:
    """At most so many of the policies, in their order: those that tell most, plain ones before their variants.

    >>> shown_of(["random", "emp:beta=2", "mine", "lfl", "emp"], most=4)
    ['random', 'mine', 'lfl', 'emp']
    """
    if len(policies) <= most:
        return list(policies)

    def rank(policy: str) -> tuple[bool, int]:
        return ":" in policy, _FIRST.index(policy) if policy in _FIRST else len(_FIRST)

    chosen = sorted(policies, key=rank)[:most]
    return [policy for policy in policies if policy in chosen]
