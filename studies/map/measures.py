"""What is read off a cell: gain over dynamic random, speed-up at equal value, generalisation gap."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from studies.map.cells import Cell
from studies.map.runs import Place, Run

from emprune_lab.report.costs import RANDOM
from emprune_lab.report.equal import Ladder, SpeedUp
from emprune_lab.report.intervals import Estimate, mean, paired_difference

CLASSES = 10
"""Of all data sets whose labels are made wrong here, each by one of the other classes with equal probability."""
LEAST_LADDER = 2
"""A ladder is that of at least so many seeds, where the policy has as many."""


def gain(cell: Cell, policy: str, of: Callable[[Run], float | None] = lambda run: run.value) -> Estimate | None:
    """A policy minus dynamic random, paired by seed; None where there is no pair, or a run lacks it."""
    pairs = [(of(own), of(random)) for own, random in cell.pairs(policy)]
    known = [(own, random) for own, random in pairs if own is not None and random is not None]
    return paired_difference(*zip(*known, strict=True)) if known and len(known) == len(pairs) else None


def speed_up(cell: Cell, policy: str) -> SpeedUp | None:
    """Samples that plain training needs for a policy's mean value, over its own; None without two lengths of it.

    Longer plain training may have fewer seeds than the policy. The ladder is made of the lengths that all of the seeds
    have; where the policy is above all of these, of seeds that went further.
    """
    seeds = set(cell.runs.get(policy, {}))
    found: SpeedUp | None = None
    while len(seeds) >= min(LEAST_LADDER, len(cell.runs.get(policy, {}))) > 0:
        ladder = plain_ladder(cell, seeds)
        if ladder is not None:
            runs = [cell.runs[policy][seed] for seed in sorted(seeds)]
            found = ladder.speed_up(runs[0].samples, float(np.mean([run.value for run in runs])))
        beyond = [held & seeds for held in map(set, cell.plain.values()) if held & seeds < seeds]
        if (found and found.bound != "≥") or not beyond:
            break
        seeds = max(beyond, key=len)
    return found


def plain_ladder(cell: Cell, seeds: Iterable[int]) -> Ladder | None:
    """Plain training at the lengths that all these seeds have; None of fewer than two."""
    held = {samples: values for samples, values in cell.plain.items() if set(seeds) <= set(values)}
    return Ladder.of([
        (samples, float(np.mean([values[seed] for seed in seeds]))) for samples, values in held.items()
    ])  # fmt: skip


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
