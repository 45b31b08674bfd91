"""The study's tables, from its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from studies.ingredients.ingredients import PLACES

from emprune_lab.report.formats import format_difference, format_mean
from emprune_lab.report.intervals import Estimate, mean, paired_difference

Run = Mapping[str, Any]
Cells = dict[tuple[str, str], dict[int, Run]]
"""(policy, ingredient) → seed → run."""


def cells_of(runs: Sequence[Run], place: str, split: str) -> Cells:
    """The runs of a place on a split."""
    found: Cells = {}
    for run in runs:
        if (run["place"], run["split"]) == (place, split):
            found.setdefault((run["policy"], run["ingredient"]), {})[run["seed"]] = run
    return found


def difference(cell: Mapping[int, Run], reference: Mapping[int, Run]) -> Estimate | None:
    """Of accuracies, in points, over the seeds that both have; None where they share none."""
    seeds = sorted(set(cell) & set(reference))
    if not seeds:
        return None
    ours, theirs = ([100 * group[seed]["value"] for seed in seeds] for group in (cell, reference))
    return paired_difference(ours, theirs)


def ingredients_of(cells: Cells) -> list[str]:
    """Those that both policies have, in the order of the runs, "none" first."""
    names = dict.fromkeys(name for policy, name in cells if policy == "random" and ("emp", name) in cells)
    return sorted(names, key=lambda name: name != "none")


def chosen_table(runs: Sequence[Run]) -> str:
    """Markdown: the candidates on the validation split, with both policies."""
    lines = [
        "| Fashion-MNIST, 10,000 images, validation | random | EMP | mean of both, minus none | seeds |",
        "| :--- | ---: | ---: | ---: | ---: |",
    ]
    cells = cells_of(runs, "fashion-mnist", "validation")
    for name in ingredients_of(cells):
        random, emp = cells["random", name], cells["emp", name]
        shown = " | ".join(format_mean(_mean(cell)) for cell in (random, emp))
        lines.append(f"| {name} | {shown} | {format_difference(_of_both(cells, name))} | {len(random)} |")
    return "\n".join(lines) + "\n"


def _of_both(cells: Cells, name: str) -> Estimate | None:
    if name == "none":
        return None
    seeds = sorted(cells["random", name])
    ours, theirs = (
        [50 * (cells["random", one][seed]["value"] + cells["emp", one][seed]["value"]) for seed in seeds]
        for one in (name, "none")
    )
    return paired_difference(ours, theirs)


def table(runs: Sequence[Run]) -> str:
    """Markdown: every place's ingredients on the test split.

    Accuracies in %, ± half the 95 % interval; differences in points, paired by seed; steps and seconds of the
    process over those of the same policy and seed without the ingredient, median of all.
    """
    lines = [
        "| ingredient | random | EMP | random: minus none | EMP: minus none | EMP minus random, both with it | steps | "
        "core seconds | seeds |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for place in PLACES:
        cells = cells_of(runs, place, "test")
        if names := ingredients_of(cells):
            lines.append(f"| **{PLACES[place].title}** | | | | | | | | |")
            lines += [_row(cells, name) for name in names]
            lines += [_reference(cells, name) for name in ("rs2", "short") if (name, "none") in cells]
    return "\n".join(lines) + "\n"


def _row(cells: Cells, name: str) -> str:
    random, emp = cells["random", name], cells["emp", name]
    none = {policy: cells.get((policy, "none"), {}) for policy in ("random", "emp")}
    gains = [None if name == "none" else difference(cells[policy, name], none[policy]) for policy in none]
    shown = [format_mean(_mean(random)), format_mean(_mean(emp)), *map(format_difference, gains)]
    shown.append(format_difference(difference(emp, random)))
    shown += [f"{_ratio(cells, name, cost):.2f}" for cost in ("steps", "seconds")]
    return f"| {name} | {' | '.join(shown)} | {len(random)} |"


def _reference(cells: Cells, name: str) -> str:
    cell, random = cells[name, "none"], cells["random", "none"]
    return (
        f"| none, {name} | {format_mean(_mean(cell))} | – | {format_difference(difference(cell, random))}, to random | "
        f"– | – | – | – | {len(cell)} |"
    )


def _mean(cell: Mapping[int, Run]) -> Estimate:
    return mean([100 * run["value"] for run in cell.values()])


def _ratio(cells: Cells, name: str, cost: str) -> float:
    """Median over runs of the cost over that of the run without the ingredient."""
    ratios = [
        run[cost] / cells[policy, "none"][seed][cost]
        for policy in ("random", "emp")
        for seed, run in cells[policy, name].items()
        if seed in cells.get((policy, "none"), {})
    ]
    return float(np.median(ratios))
