"""Cells of the map: one setting, length and rate, with the runs of every policy and plain training beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from studies.map.names import order_of
from studies.map.runs import Place, Run

from emprune_lab.report.costs import FULL, RANDOM
from emprune_lab.specs.spec import SHORT

Seeds = Mapping[int, Run]
Budgets = Mapping[int, Mapping[int, float]]
"""Samples → seed → value."""


@dataclass(frozen=True)
class Cell:
    """What trained equal samples in one setting.

    Attributes:
        runs: policy → seed → run; dynamic random is among them.
        plain: plain training on all data, each length with its schedule to the end: of this place, whatever the cell.
        full: all data for as many epochs; empty where that was not run.
    """

    place: Place
    anneal: float
    epochs: int
    prune_rate: float
    runs: Mapping[str, Seeds]
    plain: Budgets
    full: Seeds

    @property
    def random(self) -> Seeds:
        """The runs that gains are taken to."""
        return self.runs[RANDOM]

    @property
    def effective_epochs(self) -> float:
        """How often a sample was trained on average, annealed epochs included: samples through backward / N."""
        return next(iter(self.random.values())).effective_epochs

    def pairs(self, policy: str) -> list[tuple[Run, Run]]:
        """The policy's run and random's of each seed that both have, seeds ascending."""
        own = self.runs.get(policy, {})
        return [(own[seed], self.random[seed]) for seed in sorted(own) if seed in self.random]


def cells(runs: Iterable[Run]) -> list[Cell]:
    """All cells that have dynamic random, in the order of tables.

    Raises:
        ValueError: policies of a cell trained different numbers of samples.
    """
    by_place: dict[Place, list[Run]] = defaultdict(list)
    for run in runs:
        by_place[run.place].append(run)
    found = [cell for place in by_place for cell in _cells_of(place, by_place[place])]
    return sorted(found, key=lambda cell: (*order_of(cell.place), cell.anneal, cell.effective_epochs, cell.prune_rate))


def _cells_of(place: Place, runs: list[Run]) -> Iterable[Cell]:
    plain = _plain(runs)
    groups: dict[tuple[float, int, float], dict[str, dict[int, Run]]] = defaultdict(lambda: defaultdict(dict))
    full: dict[int, dict[int, Run]] = defaultdict(dict)
    for run in runs:
        if run.policy == FULL:
            full[run.epochs][run.seed] = run
        else:
            groups[run.anneal, run.epochs, run.prune_rate][run.policy][run.seed] = run
    for (anneal, epochs, rate), policies in groups.items():
        if RANDOM in policies:
            cell = Cell(place, anneal, epochs, rate, policies, plain, full.get(epochs, {}))
            _check_samples(cell)
            yield cell


def _plain(runs: Iterable[Run]) -> Budgets:
    """Two studies may have trained the same: then their mean."""
    values: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run.policy in (FULL, SHORT):
            values[run.samples][run.seed].append(run.value)
    return {
        samples: {seed: float(np.mean(found)) for seed, found in seeds.items()}
        for samples, seeds in sorted(values.items())
    }


def _check_samples(cell: Cell) -> None:
    counts = {policy: {run.samples for run in seeds.values()} for policy, seeds in cell.runs.items()}
    if len(set().union(*counts.values())) > 1:
        raise ValueError(f"policies of {cell.place.data} at {cell.prune_rate} trained different numbers: {counts}")
