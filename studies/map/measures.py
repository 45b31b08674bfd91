"""What is read off a cell: gain over dynamic random, speed-up at equal value, generalisation gap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from studies.map.cells import Cell
from studies.map.runs import Place, Run

from emprune_lab.report import equal
from emprune_lab.report.costs import RANDOM
from emprune_lab.report.equal import SpeedUp
from emprune_lab.report.intervals import Estimate, mean, paired_difference

CLASSES = 10
"""Of all data sets whose labels are made wrong here, each by one of the other classes with equal probability."""
LEAST_SEEDS = 2
"""Plain training is that of so many seeds at least, where the policy has as many."""


def gain(cell: Cell, policy: str, of: Callable[[Run], float | None] = lambda run: run.value) -> Estimate | None:
    """A policy minus dynamic random, paired by seed; None where there is no pair, or a run lacks it."""
    pairs = [(of(own), of(random)) for own, random in cell.pairs(policy)]
    known = [(own, random) for own, random in pairs if own is not None and random is not None]
    return paired_difference(*zip(*known, strict=True)) if known and len(known) == len(pairs) else None


def speed_up(cell: Cell, policy: str) -> SpeedUp | None:
    """Samples that plain training needs for what a policy reaches, over its own; None without two lengths of it.

    Longer plain training may have fewer seeds. The lengths are those that all of the policy's seeds have; where it is
    better than these, also longer ones, with the seeds that went further.
    """
    runs = cell.runs.get(policy, {})
    held = {frozenset(runs) & frozenset(values) for values in cell.plain.values()}
    found: SpeedUp | None = None
    for seeds in sorted(held, key=len, reverse=True):
        if seeds and len(seeds) >= min(LEAST_SEEDS, len(runs)):
            values = {seed: runs[seed].value for seed in sorted(seeds)}
            found = equal.speed_up(plain_of(cell, seeds), runs[min(seeds)].samples, values) or found
        if found is not None and found.bound != "≥":
            break
    return found


def plain_of(cell: Cell, seeds: Iterable[int]) -> dict[float, Mapping[int, float]]:
    """Plain training at the lengths that all these seeds have: samples → seed → value."""
    return {float(samples): values for samples, values in cell.plain.items() if set(seeds) <= set(values)}


def generalisation_gap(cell: Cell, policy: str = RANDOM) -> Estimate | None:
    """Percent predicted right of the training set, minus those of the test set if its labels were wrong as often.

    None where the study does not have both in one measure.
    """
    runs = [run for _, run in sorted(cell.runs.get(policy, {}).items())]
    gaps = [_gap(run) for run in runs]
    known = [gap for gap in gaps if gap is not None]
    return mean(known) if known and len(known) == len(gaps) else None


def _gap(run: Run) -> float | None:
    if run.accuracy is None or run.remembered is None:
        return None
    return run.remembered - as_labelled(run.place, run.accuracy)


def as_labelled(place: Place, accuracy: float) -> float:
    """Expected accuracy in percent on labels that are wrong as often as those trained on.

    With a part p of the labels changed to another of C classes: (1 - p)·a + p·(1 - a)/(C - 1).
    """
    wrong = place.label_noise
    return (1 - wrong) * accuracy + wrong * (100 - accuracy) / (CLASSES - 1)


def of_random(cell: Cell, of: Callable[[Run], float | None]) -> float:
    """Mean over random's seeds of something that all its runs have."""
    return float(np.mean([of(run) for run in cell.random.values()]))
