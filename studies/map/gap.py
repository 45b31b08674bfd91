"""Does the generalisation gap decide what selecting gains? Rank correlations over cells, beside other explanations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr
from studies.map.cells import Cell
from studies.map.measures import gain, generalisation_gap, of_random
from studies.map.names import POLICIES, data_of, labels_of
from studies.map.runs import Place

from emprune_lab.report.formats import NONE, signed
from emprune_lab.report.intervals import Estimate
from emprune_lab.report.layout import markdown_table

_SEEN = 2
"""A sample's score can decide whether it is trained again once it has been trained; so often on average at least."""
LEAST_WITHIN = 4
"""Cells of one place from which it has a correlation of its own."""


@dataclass(frozen=True)
class Point:
    """A cell: the gap of random's networks, and what a policy gains over them in accuracy, both in points."""

    cell: Cell
    gap: Estimate
    gain: Estimate


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation over so many cells; None of fewer than three or where one side does not vary."""

    value: float | None
    count: int

    @classmethod
    def of(cls, first: Sequence[float], second: Sequence[float]) -> Correlation:
        """Of pairs."""
        if len(first) < 3 or len(set(first)) < 2 or len(set(second)) < 2:
            return cls(None, len(first))
        return cls(float(spearmanr(first, second)[0]), len(first))

    def __str__(self) -> str:
        return NONE if self.value is None else f"{signed(self.value)} ({self.count})"


def points(cells: Sequence[Cell], policy: str) -> list[Point]:
    """The cells that have random and the policy in accuracy, and know the gap."""
    found = []
    for cell in cells:
        gap, gained = generalisation_gap(cell), gain(cell, policy, lambda run: run.accuracy)
        if gap is not None and gained is not None:
            found.append(Point(cell, gap, gained))
    return found


EXPLANATIONS: dict[str, Callable[[Point], float]] = {
    "generalisation gap": lambda point: point.gap.value,
    "remembered − accuracy, as recorded": lambda point: (
        of_random(point.cell, lambda run: run.remembered) - of_random(point.cell, lambda run: run.accuracy)
    ),
    "remembered": lambda point: of_random(point.cell, lambda run: run.remembered),
    "test error": lambda point: 100 - of_random(point.cell, lambda run: run.accuracy),
    "effective epochs": lambda point: point.cell.effective_epochs,
    "training samples": lambda point: point.cell.place.num_samples,
}
"""What might decide, all of dynamic random's runs, which know nothing of the policy."""

PARTS: dict[str, Callable[[Sequence[Point]], Sequence[Point]]] = {
    "all cells": lambda found: found,
    "2 effective epochs or more": lambda found: [point for point in found if point.cell.effective_epochs >= _SEEN],
    "right labels": lambda found: [point for point in found if not point.cell.place.label_noise],
    "wrong labels": lambda found: [point for point in found if point.cell.place.label_noise],
}


def correlations(cells: Sequence[Cell], policy: str) -> dict[str, dict[str, Correlation]]:
    """Part → explanation → rank correlation with the policy's gain; then the same of means by place."""
    found = points(cells, policy)
    table = {
        part: {name: Correlation.of(*_pairs(of(found), explain)) for name, explain in EXPLANATIONS.items()}
        for part, of in PARTS.items()
    }
    groups = _by_place(found).values()
    table["one mean a setting"] = {
        name: Correlation.of(
            [float(np.mean(_pairs(group, explain)[0])) for group in groups],
            [float(np.mean([point.gain.value for point in group])) for group in groups],
        )
        for name, explain in EXPLANATIONS.items()
    }
    return table


def within(cells: Sequence[Cell], policy: str) -> dict[Place, Correlation]:
    """Rank correlation of gain and gap among the lengths and rates of one place, where there are enough."""
    return {
        place: Correlation.of(*_pairs(own, EXPLANATIONS["generalisation gap"]))
        for place, own in _by_place(points(cells, policy)).items()
        if len(own) >= LEAST_WITHIN
    }


def correlation_tables(cells: Sequence[Cell], policies: Sequence[str]) -> str:
    """Markdown: for each policy a row an explanation, a column a part; then the settings on their own."""
    found = [_correlation_table(policy, correlations(cells, policy)) for policy in policies]
    return "\n".join([*found, _within_table({policy: within(cells, policy) for policy in policies})])


def _correlation_table(policy: str, parts: Mapping[str, Mapping[str, Correlation]]) -> str:
    headings = [f"rank correlation with the gain of {POLICIES[policy]}", *parts]
    lines = [[name, *(str(row[name]) for row in parts.values())] for name in EXPLANATIONS]
    return markdown_table(headings, [":---"] + ["---:"] * len(parts), lines)


def _within_table(own: Mapping[str, Mapping[Place, Correlation]]) -> str:
    places = list(dict.fromkeys(place for found in own.values() for place in found))
    headings = ["with the generalisation gap, within one setting", *(POLICIES[policy] for policy in own)]
    lines = [[_title(place), *(str(found.get(place, NONE)) for found in own.values())] for place in places]
    return markdown_table(headings, [":---"] + ["---:"] * len(own), lines)


def _pairs(found: Sequence[Point], explain: Callable[[Point], float]) -> tuple[list[float], list[float]]:
    return [explain(point) for point in found], [point.gain.value for point in found]


def _by_place(found: Sequence[Point]) -> dict[Place, list[Point]]:
    groups: dict[Place, list[Point]] = defaultdict(list)
    for point in found:
        groups[point.cell.place].append(point)
    return groups


def _title(place: Place) -> str:
    return ", ".join(filter(None, [data_of(place), f"{place.num_samples:,} samples", labels_of(place)]))
