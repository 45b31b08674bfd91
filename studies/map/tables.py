"""The study's tables, in Markdown: a row a cell, a column a policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from studies.map.cells import Cell
from studies.map.measures import gain, speed_up
from studies.map.names import POLICIES, metric_of, setting_of, shown

from emprune_lab.report.costs import RANDOM
from emprune_lab.report.formats import NONE, format_difference, format_mean, format_speed_up
from emprune_lab.report.intervals import Estimate, mean
from emprune_lab.report.layout import markdown_table
from emprune_lab.specs.spec import SHORT

_CELL = ("data, network", "samples", "effective epochs", "rate", "seeds")


def gain_table(cells: Sequence[Cell]) -> str:
    """What random reaches, and each policy's difference to it."""
    policies = shown(policy for cell in cells for policy in cell.runs)

    def entries(cell: Cell) -> list[str]:
        digits = metric_of(cell.place).digits
        return [
            format_mean(mean([run.value for run in cell.random.values()]), digits),
            *(_marked(gain(cell, policy), digits) for policy in policies),
        ]

    return _table(cells, ["random", *(POLICIES[policy] for policy in policies)], entries)


def speed_up_table(cells: Sequence[Cell]) -> str:
    """Samples that plain training needs for what each policy reaches, over its own."""
    policies = [RANDOM, *(policy for policy in shown(one for cell in cells for one in cell.runs) if policy != SHORT)]
    kept = [cell for cell in cells if any(speed_up(cell, policy) for policy in policies)]

    def entries(cell: Cell) -> list[str]:
        return [format_speed_up(speed_up(cell, policy)) for policy in policies]

    return _table(kept, [POLICIES.get(policy, policy) for policy in policies], entries)


def _table(cells: Sequence[Cell], columns: Sequence[str], entries: Callable[[Cell], list[str]]) -> str:
    headings = [*_CELL, *columns]
    lines = [[*_cell(cell), *entries(cell)] for cell in cells]
    return markdown_table(headings, [":---"] + ["---:"] * (len(headings) - 1), lines)


def _cell(cell: Cell) -> list[str]:
    return [
        setting_of(cell.place, cell.anneal), f"{cell.place.num_samples:,}", f"{cell.effective_epochs:.1f}",
        f"{cell.prune_rate:g}", str(len(cell.random)),
    ]  # fmt: skip


def _marked(difference: Estimate | None, digits: int) -> str:
    """Bold where it is significantly above zero, in italics where below."""
    if difference is None:
        return NONE
    mark = {1: "**", -1: "*", 0: ""}[difference.sign]
    return f"{mark}{format_difference(difference, digits)}{mark}"
