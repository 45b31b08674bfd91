"""Which cells of the grid that this study asks for were run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from studies.map.cells import Cell, cells
from studies.map.names import POLICIES, data_of, labels_of, order_of
from studies.map.runs import Place, Run

from emprune_lab.report.costs import RANDOM
from emprune_lab.report.formats import NONE
from emprune_lab.report.layout import markdown_table

LENGTHS = (1.0, 2.5, 5.0, 12.0, 30.0, 60.0)
"""Effective epochs."""
RATES = (0.9, 0.7)
_CLOSE = 0.05


def coverage_table(runs: Iterable[Run]) -> str:
    """Markdown: a row a setting, a column a length; how many seeds, and of how many policies with random.

    Args:
        runs: those made for this study.
    """
    places: dict[Place, list[Cell]] = defaultdict(list)
    for cell in cells(runs):
        if cell.prune_rate in RATES:
            places[cell.place].append(cell)
    headings = ["effective epochs", *(f"{length:g}" for length in LENGTHS)]
    lines = [
        [", ".join(filter(None, [data_of(place), labels_of(place)])), *(_said(at(own, length)) for length in LENGTHS)]
        for place, own in sorted(places.items(), key=lambda item: order_of(item[0]))
    ]
    return markdown_table(headings, [":---"] + ["---:"] * len(LENGTHS), lines)


def at(found: Sequence[Cell], length: float) -> Cell | None:
    """The cell of so many effective epochs, which round to a whole number of samples an epoch."""
    return next((cell for cell in found if abs(cell.effective_epochs / length - 1) < _CLOSE), None)


def _said(cell: Cell | None) -> str:
    if cell is None:
        return NONE
    counts = {policy: len(cell.runs[policy]) for policy in (RANDOM, *POLICIES) if policy in cell.runs}
    seeds = "–".join(map(str, sorted({min(counts.values()), max(counts.values())})))
    return f"{seeds} seeds, {len(counts)} of {1 + len(POLICIES)}"
