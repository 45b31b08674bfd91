"""How far one can prune before the accuracy of full data is lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from studies.map.cells import Cell
from studies.map.names import metric_of, setting_of
from studies.map.runs import Place

from emprune_lab.report.formats import NONE, format_difference, format_mean
from emprune_lab.report.intervals import Estimate, mean, paired_difference
from emprune_lab.report.layout import markdown_table
from emprune_lab.report.lossless import is_lossless


@dataclass(frozen=True)
class Lossless:
    """One policy in one setting and length.

    Attributes:
        differences: rate → difference to full data, paired by seed. rate: the highest of these that is lossless as
            :func:`emprune_lab.report.lossless.is_lossless` says; None where none is.
    """

    differences: dict[float, Estimate]
    rate: float | None


def to_full(cell: Cell, policy: str) -> Estimate | None:
    """A policy minus full data for as many epochs, paired by seed; None without a pair."""
    own = cell.runs.get(policy, {})
    seeds = sorted(set(own) & set(cell.full))
    if not seeds:
        return None
    return paired_difference(*([of[seed].value for seed in seeds] for of in (own, cell.full)))


def lossless(cells: Sequence[Cell], policy: str) -> Lossless | None:
    """Of one policy over cells that differ in rate alone; None where it was not run beside full data."""
    found = {cell.prune_rate: (cell, to_full(cell, policy)) for cell in sorted(cells, key=lambda cell: cell.prune_rate)}
    known = {rate: (cell.place, one) for rate, (cell, one) in found.items() if one is not None}
    if not known:
        return None
    kept = [rate for rate, (place, one) in known.items() if is_lossless(one, metric_of(place))]
    return Lossless({rate: one for rate, (_, one) in known.items()}, max(kept, default=None))


def groups(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells with full data beside them that differ in rate alone."""
    found: dict[tuple[Place, float, int], list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.full:
            found[cell.place, cell.anneal, cell.epochs].append(cell)
    return list(found.values())


def rate_table(cells: Sequence[Cell], policies: Mapping[str, str]) -> str:
    """Markdown: a row a setting and length, per policy the highest lossless rate.

    Args:
        policies: label → name.
    """
    return _table(cells, policies, "seeds of full", lambda first: str(len(first.full)), lambda first, one: _rate(one))


def lossless_table(cells: Sequence[Cell], policies: Mapping[str, str]) -> str:
    """Markdown: a row a setting and length; per policy the highest lossless rate, then the differences to full data.

    Args:
        policies: label → name.
    """
    return _table(cells, policies, "full", _full, lambda first, one: _said(one, metric_of(first.place).digits))


def _table(
    cells: Sequence[Cell],
    policies: Mapping[str, str],
    of_full: str,
    full: Callable[[Cell], str],
    entry: Callable[[Cell, Lossless], str],
) -> str:
    """A row a setting and length; ``full`` writes the column headed ``of_full``, ``entry`` that of a policy."""
    headings = ["data, network", "epochs", of_full, *policies.values()]
    lines = []
    for group in groups(cells):
        first = group[0]
        found = [lossless(group, policy) for policy in policies]
        entries = [NONE if one is None else entry(first, one) for one in found]
        lines.append([setting_of(first.place, first.anneal), str(first.epochs), full(first), *entries])
    return markdown_table(headings, [":---"] + ["---:"] * (len(headings) - 1), lines)


def _full(cell: Cell) -> str:
    return format_mean(mean([run.value for run in cell.full.values()]), metric_of(cell.place).digits)


def _said(one: Lossless, digits: int) -> str:
    differences = "; ".join(f"{rate:g}: {format_difference(value, digits)}" for rate, value in one.differences.items())
    return f"**{_rate(one)}**<br>{differences}"


def _rate(one: Lossless) -> str:
    rates = ", ".join(f"{rate:g}" for rate in one.differences)
    return f"none of {rates}" if one.rate is None else f"{one.rate:g}"
