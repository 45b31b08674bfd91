"""Each policy in one row, over all cells."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from studies.map.cells import Cell
from studies.map.measures import gain, speed_up
from studies.map.names import POLICIES, metric_of, setting_of, shown
from studies.map.runs import Place

from emprune_lab.report.costs import RANDOM
from emprune_lab.report.formats import NONE, signed
from emprune_lab.report.layout import markdown_table

_MIDDLE = (5.0, 30.0)
"""Effective epochs over which speed-ups are averaged; half an epoch less or more is counted in."""
_LITTLE = 0.3
"""Points."""


def verdict_table(cells: Sequence[Cell]) -> str:
    """A row a policy: in how many cells it is significantly above or below random, and its mean speed-up."""
    lines = []
    for policy in shown(policy for cell in cells for policy in cell.runs):
        found = {at: one for at, cell in enumerate(cells) if (one := gain(cell, policy)) is not None}
        points = {at: one.value / metric_of(cells[at].place).point for at, one in found.items()}
        worst = min(points, key=lambda at: points[at])
        said = f"{signed(points[worst])}: {setting_of(cells[worst].place, cells[worst].anneal)}"
        signs = [one.sign for one in found.values()]
        lines.append([
            POLICIES[policy], str(len(found)), str(signs.count(1)), str(signs.count(-1)),
            str(sum(value < -_LITTLE for value in points.values())),
            f"{said}, {cells[worst].effective_epochs:.1f} effective epochs",
            *mean_speed_ups(cells, policy),
        ])  # fmt: skip
    headings = [
        "policy", "cells", "significantly above random", "significantly below", "mean below −0.3 points", "worst mean",
        "speed-up at 5 to 30 effective epochs", "random in the same cells", "settings",
    ]  # fmt: skip
    return markdown_table(headings, [":---"] + ["---:"] * 4 + [":---"] + ["---:"] * 3, lines)


def mean_speed_ups(cells: Sequence[Cell], policy: str) -> tuple[str, str, str]:
    """Geometric means over settings of those over their cells, of a policy and of random, and the number of settings.

    A bound counts as its value.
    """
    logs: dict[Place, list[tuple[float, float]]] = defaultdict(list)
    for cell in cells:
        if _MIDDLE[0] - 0.5 <= cell.effective_epochs <= _MIDDLE[1] + 0.5:
            both = speed_up(cell, policy), speed_up(cell, RANDOM)
            if both[0] is not None and both[1] is not None:
                logs[cell.place].append((math.log(both[0].value), math.log(both[1].value)))
    if not logs:
        return NONE, NONE, "0"
    own, random = np.exp(np.mean([np.mean(pairs, axis=0) for pairs in logs.values()], axis=0))
    return f"{own:.2f}", f"{random:.2f}", str(len(logs))
