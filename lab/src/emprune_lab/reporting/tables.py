"""The comparison as tables: what is ranked at equal budgets, what is not, and what everything cost."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

from emprune_lab.records.metrics import Metric
from emprune_lab.records.results import Result
from emprune_lab.reporting.costs import FULL, RANDOM
from emprune_lab.reporting.estimate import Interval
from emprune_lab.reporting.formats import (
    NONE,
    format_difference,
    format_fraction,
    format_mean,
    format_ratio,
    format_seconds,
)  # fmt: skip
from emprune_lab.reporting.layout import Block, Cell, Table, TerminalTable, Tone
from emprune_lab.reporting.notes import OWN_BUDGET_NOTE, cost_note, measures_note, ranked_note
from emprune_lab.reporting.settings import setting_titles
from emprune_lab.reporting.statistics import Row, summarise

RANKED, MEASURES, OWN_BUDGET, COST = "equal budgets", "all measures", "budgets of their own, not ranked", "cost"
"""Names of a setting's tables."""

_TONES: dict[int, Tone] = {1: "better", -1: "worse", 0: ""}


def build_tables(
    results: Iterable[Result], reference: str = RANDOM, interval: Interval = "student"
) -> list[Table]:  # fmt: skip
    """The tables of all settings. Raises ArgumentError as :func:`~emprune_lab.reporting.statistics.summarise`."""
    rows = summarise(results, reference, interval)
    titles = setting_titles(list(dict.fromkeys(row.setting for row in rows)))
    groups = itertools.groupby(rows, key=lambda row: row.setting)
    return [table for setting, group in groups for table in setting_tables(list(group), titles[setting])]


def rich_tables(
    results: Iterable[Result], reference: str = RANDOM, interval: Interval = "student"
) -> list[TerminalTable]:  # fmt: skip
    """The tables of all settings, to print on a rich console; a note that several share stands under the last.

    Raises:
        ArgumentError: as :func:`build_tables`.
    """
    tables = build_tables(results, reference, interval)
    last = {table.note: position for position, table in enumerate(tables)}
    return [TerminalTable(table, with_note=last[table.note] == position) for position, table in enumerate(tables)]


def setting_tables(rows: Sequence[Row], title: str) -> list[Table]:
    """One setting's tables: ranked, all measures where there are several, budgets of their own if any, cost.

    Args:
        rows: of one setting, as :func:`emprune_lab.reporting.statistics.summarise` orders them.
        title: the setting in words.
    """
    ranked = [row for row in rows if row.ranked or row.policy == FULL]
    own = [row for row in rows if row.own_budget]
    tables = [_ranked(ranked, title)] if ranked else []
    tables += [_measures(ranked, title)] if any(row.measures for row in ranked) else []
    tables += [_own_budget(own, title)] if own else []
    return [*tables, _cost(rows, title)]


def _ranked(rows: Sequence[Row], title: str) -> Table:
    noisy = rows[0].setting.label_noise > 0
    columns = (
        "policy", rows[0].metric.column, f"minus {rows[0].reference}", "gap closed", "remembered %",
        *(["true labels %"] * noisy), "backward", "forward",
    )  # fmt: skip

    def line(row: Row) -> tuple[Cell, ...]:
        return (
            Cell(row.policy),
            Cell(format_mean(row.accuracy, row.metric.digits)),
            Cell(format_difference(row.difference, row.metric.digits), _TONES[row.gain]),
            Cell(format_fraction(row.gap_closed)),
            Cell(format_mean(row.remembered)),
            *([Cell(format_mean(row.remembered_true))] if noisy else []),
            *_samples(row),
        )

    least = ("gap closed", "true labels %", "remembered %", "backward", "forward")
    return Table(title, RANKED, columns, _blocks(rows, line), ranked_note(rows), least)


def _measures(rows: Sequence[Row], title: str) -> Table:
    metrics = _metrics_of(rows)
    names = [(metric.column, f"{metric.words} minus {rows[0].reference}") for metric in metrics]

    def line(row: Row) -> tuple[Cell, ...]:
        return (Cell(row.policy), *(cell for metric in metrics for cell in _measured(row, metric)))

    columns = ("policy", *itertools.chain(*names))
    # The headline stands in the table before too; of the others the last is the least.
    least = (*names[0], *itertools.chain(*reversed(names[2:])), names[1][0])
    return Table(title, MEASURES, columns, _blocks(rows, line), measures_note(rows), least)


def _metrics_of(rows: Sequence[Row]) -> list[Metric]:
    """The headline measure, and all others of any of the rows."""
    return list(dict.fromkeys([rows[0].metric, *(one.metric for row in rows for one in row.measures)]))


def _measured(row: Row, metric: Metric) -> tuple[Cell, Cell]:
    """One measure and its difference; the headline of a row without others stands for itself."""
    for one in row.measures:
        if one.metric == metric:
            difference = Cell(format_difference(one.difference, metric.digits), _TONES[one.gain])
            return Cell(format_mean(one.value, metric.digits)), difference
    if metric == row.metric:
        difference = Cell(format_difference(row.difference, metric.digits), _TONES[row.gain])
        return Cell(format_mean(row.accuracy, metric.digits)), difference
    return Cell(NONE), Cell(NONE)


def _own_budget(rows: Sequence[Row], title: str) -> Table:
    metrics = _metrics_of(rows)
    columns = ("policy", *(metric.column for metric in metrics), "realised rate", "backward", "forward", "steps")

    def line(row: Row) -> tuple[Cell, ...]:
        return (
            Cell(row.policy),
            *(_measured(row, metric)[0] for metric in metrics),
            Cell(f"{row.cost.realised_rate:.3f}"),
            *_samples(row),
            Cell(f"{row.cost.optimizer_steps:,}"),
        )

    least = ("steps", "forward", *(metric.column for metric in reversed(metrics[1:])))
    return Table(title, OWN_BUDGET, columns, _blocks(rows, line), OWN_BUDGET_NOTE, least)


def _cost(rows: Sequence[Row], title: str) -> Table:
    columns = (
        "policy", "realised rate", "backward", "forward", "steps", "train s", "score s", "select s", "speed-up",
        "efficiency",
    )  # fmt: skip

    def line(row: Row) -> tuple[Cell, ...]:
        cost = row.cost
        return (
            Cell(row.policy),
            Cell(f"{cost.realised_rate:.3f}"),
            *_samples(row),
            Cell(f"{cost.optimizer_steps:,}"),
            Cell(format_seconds(cost.train)),
            Cell(format_seconds(cost.score)),
            Cell(format_seconds(cost.select)),
            Cell(format_ratio(cost.speed_up)),
            Cell(format_ratio(cost.efficiency)),
        )

    least = ("realised rate", "steps", "select s", "score s", "train s", "forward")
    return Table(title, COST, columns, _blocks(rows, line), cost_note(rows), least)


def _samples(row: Row) -> tuple[Cell, Cell]:
    """Backward and forward; what was trained to score stands apart from the budget."""
    scoring = row.cost.samples_backward_scoring
    backward = f"{row.cost.samples_backward:,}" + (f" + {scoring:,}" if scoring else "")
    return Cell(backward), Cell(f"{row.cost.samples_forward:,}")


def _blocks(rows: Sequence[Row], line: Callable[[Row], tuple[Cell, ...]]) -> tuple[Block, ...]:
    groups = itertools.groupby(rows, key=lambda row: row.prune_rate)
    return tuple(Block(f"{rate:g}", tuple(line(row) for row in group)) for rate, group in groups)
