"""The comparison as tables: what is ranked at equal budgets, what is not, and what everything cost."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from rich.console import RenderableType
from rich.text import Text

from emprune_lab.records.metrics import Metric
from emprune_lab.records.results import Result
from emprune_lab.report.costs import FULL, RANDOM
from emprune_lab.report.formats import (
    NONE,
    format_difference,
    format_gap,
    format_mean,
    format_ratio,
    format_seconds,
    format_speed_up,
)  # fmt: skip
from emprune_lab.report.intervals import Estimate
from emprune_lab.report.layout import Cell, Table, TerminalTable, Tone
from emprune_lab.report.lossless import lossless_rates, seconds_saved
from emprune_lab.report.notes import (
    COST,
    INTERVALS,
    LOSSLESS,
    MEASURES,
    NOTES,
    OWN_BUDGET,
    OWN_POINT,
    OWN_SECONDS,
    RANKED,
)
from emprune_lab.report.settings import setting_titles
from emprune_lab.report.statistics import Row, summarise

Columns = Mapping[str, Callable[[Row], Cell]]
"""Heading → what stands under it."""

_TONES: dict[int, Tone] = {1: "better", -1: "worse", 0: ""}


def build_tables(results: Iterable[Result], reference: str = RANDOM) -> list[Table]:
    """The tables of all settings. Raises ArgumentError as :func:`~emprune_lab.report.statistics.summarise`."""
    rows = summarise(results, reference)
    titles = setting_titles(list(dict.fromkeys(row.setting for row in rows)))
    groups = itertools.groupby(rows, key=lambda row: row.setting)
    return [table for setting, group in groups for table in setting_tables(list(group), titles[setting])]


def rich_tables(results: Iterable[Result], reference: str = RANDOM) -> list[RenderableType]:
    """The tables of all settings, to print on a rich console, then how to read them.

    Raises:
        ArgumentError: as :func:`build_tables`.
    """
    tables = build_tables(results, reference)
    notes = [Text(f"{name}: {note}", style="dim") for name, note in notes_of(tables).items()]
    return [*map(TerminalTable, tables), *notes]


def notes_of(tables: Iterable[Table]) -> dict[str, str]:
    """How to read tables, by their name, and the intervals in them."""
    return {**{table.name: table.note for table in tables}, "intervals": INTERVALS}


def setting_tables(rows: Sequence[Row], title: str) -> list[Table]:
    """One setting's tables: ranked, lossless rates beside full, all measures where there are several, budgets of their
    own if any, cost.

    Args:
        rows: of one setting, as :func:`emprune_lab.report.statistics.summarise` orders them.
        title: the setting in words.
    """
    ranked, own = [row for row in rows if not row.own_budget], [row for row in rows if row.own_budget]
    tables = [_ranked(ranked, title)] if ranked else []
    tables += _lossless(rows, title)
    tables += [_measures(ranked, title)] if any(len(row.measures) > 1 for row in ranked) else []
    tables += [_own_budget(own, title)] if own else []
    return [*tables, _cost(rows, title)]


def _ranked(rows: Sequence[Row], title: str) -> Table:
    columns: dict[str, Callable[[Row], Cell]] = {
        **_measured(rows[0].metric, f"minus {rows[0].reference}"),
        "gap closed": lambda row: Cell(format_gap(row.gap_closed)),
        **_equal(rows[0].metric),
    }
    if any(row.remembered for row in rows):
        columns["remembered %"] = lambda row: Cell(_percent(row.remembered))
    if rows[0].setting.label_noise:
        columns["true labels %"] = lambda row: Cell(_percent(row.remembered_true))
    return _table(title, RANKED, rows, {**columns, **_SPENT})


def _measures(rows: Sequence[Row], title: str) -> Table:
    columns: dict[str, Callable[[Row], Cell]] = {}
    for metric in _metrics(rows):
        columns |= _measured(metric, f"{metric.words} minus {rows[0].reference}")
    return _table(title, MEASURES, rows, columns)


def _lossless(rows: Sequence[Row], title: str) -> list[Table]:
    """One table, or none where nothing can be said."""
    found = lossless_rates(rows)
    if not found:
        return []
    full, metric = next(row for row in rows if row.policy == FULL), rows[0].metric
    fit = sorted(((one.row, one.next) for one in found if one.row), key=lambda pair: -pair[0].prune_rate)
    lines = [tuple(map(Cell, _lossless_line(row, after, full))) for row, after in fit]
    if others := [one.rows[0].prune_rate for one in found if one.row is None]:
        line = (NONE, "all others" if fit else "all", NONE, NONE, f"{min(others):g}", NONE)
        lines.append(tuple(map(Cell, line)))
    columns = (
        "rate",
        "policy",
        f"{metric.words} minus full",
        "seconds saved %, at least",
        "next rate",
        "minus full there",
    )
    return [Table(title, LOSSLESS, columns, tuple(lines), NOTES[LOSSLESS] + OWN_POINT * rows[0].setting.own)]


def _lossless_line(row: Row, after: Row | None, full: Row) -> Iterable[str]:
    digits, saved = row.metric.digits, seconds_saved(row, full)
    yield f"{row.prune_rate:g}" if after else f"≥ {row.prune_rate:g}"
    yield row.policy
    yield format_difference(row.to_full, digits)
    yield NONE if saved is None else f"{100 * saved:.0f}".replace("-", "−")
    yield f"{after.prune_rate:g}" if after else NONE
    yield format_difference(after.to_full, digits) if after else NONE


def _own_budget(rows: Sequence[Row], title: str) -> Table:
    means = {_heading(metric): partial(_mean, metric=metric) for metric in _metrics(rows)}
    return _table(title, OWN_BUDGET, rows, {**means, **_equal(rows[0].metric), **_REALISED, **_SPENT, **_STEPS})


def _cost(rows: Sequence[Row], title: str) -> Table:
    columns: Columns = {
        **_REALISED,
        **_SPENT,
        **_STEPS,
        "train s": lambda row: Cell(format_seconds(row.cost.train)),
        "score s": lambda row: Cell(format_seconds(row.cost.score)),
        "select s": lambda row: Cell(format_seconds(row.cost.select)),
        "speed-up": lambda row: Cell(format_ratio(row.cost.speed_up)),
        "efficiency": lambda row: Cell(format_ratio(row.cost.efficiency)),
    }
    if any(row.speed_up_in_seconds for row in rows):
        heading = f"speed-up at equal {rows[0].metric.words}, in seconds"
        columns = {**columns, heading: lambda row: Cell(format_speed_up(row.speed_up_in_seconds))}
    return _table(title, COST, rows, columns)


def _table(title: str, name: str, rows: Sequence[Row], columns: Columns) -> Table:
    lines = tuple(
        (Cell(f"{row.prune_rate:g}"), Cell(row.policy), *(cell(row) for cell in columns.values())) for row in rows
    )
    note = NOTES[name] + OWN_SECONDS * (name == COST and rows[0].setting.own)
    return Table(title, name, ("rate", "policy", *columns), lines, note)


def _backward(row: Row) -> Cell:
    """What was trained to score stands apart from the budget."""
    scoring = row.cost.samples_backward_scoring
    return Cell(f"{row.cost.samples_backward:,}" + (f" + {scoring:,}" if scoring else ""))


_REALISED: Columns = {"realised rate": lambda row: Cell(f"{row.cost.realised_rate:.3f}")}
_SPENT: Columns = {"backward": _backward, "forward": lambda row: Cell(f"{row.cost.samples_forward:,}")}
_STEPS: Columns = {"steps": lambda row: Cell(f"{row.cost.optimizer_steps:,}")}


def _metrics(rows: Sequence[Row]) -> list[Metric]:
    """The metrics of any of the rows, the headline first."""
    return list(dict.fromkeys([rows[0].metric, *(one.metric for row in rows for one in row.measures)]))


def _equal(metric: Metric) -> Columns:
    return {f"speed-up at equal {metric.words}": lambda row: Cell(format_speed_up(row.speed_up))}


def _heading(metric: Metric) -> str:
    return metric.column if metric.higher_is_better else f"{metric.column} ↓"


def _measured(metric: Metric, minus: str) -> dict[str, Callable[[Row], Cell]]:
    """The columns of a metric: its mean, and the difference under the heading given."""
    return {_heading(metric): partial(_mean, metric=metric), minus: partial(_difference, metric=metric)}


def _percent(estimate: Estimate | None) -> str:
    return format_mean(estimate) if estimate else NONE


def _mean(row: Row, metric: Metric) -> Cell:
    one = row.measure(metric)
    return Cell(format_mean(one.mean, metric.digits) if one else NONE)


def _difference(row: Row, metric: Metric) -> Cell:
    one = row.measure(metric)
    return Cell(format_difference(one.difference, metric.digits), _TONES[one.gain]) if one else Cell(NONE)
