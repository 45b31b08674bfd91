"""A comparison in one small table, for a README, and all tables of a comparison as one Markdown file."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from emprune_lab.records.results import Result
from emprune_lab.reporting.costs import FULL, RANDOM
from emprune_lab.reporting.estimate import Interval
from emprune_lab.reporting.formats import NONE, format_difference, format_mean
from emprune_lab.reporting.layout import markdown_table, to_markdown
from emprune_lab.reporting.notes import overview_note
from emprune_lab.reporting.settings import Setting, short_titles
from emprune_lab.reporting.statistics import Row, policy_order, summarise
from emprune_lab.reporting.tables import build_tables


def overview_markdown(results: Iterable[Result], reference: str = RANDOM, interval: Interval = "student") -> str:
    """The measure, for accuracy in percent, and the paired difference to the reference, one column a setting and rate.

    A cell reads: mean ± half the 95 % interval over seeds, then the difference to the reference at the same
    rate and seeds with its interval; bold where that interval says that it is better. ``full`` trains on more
    samples and has no difference; policies with a budget of their own are left out.

    Raises:
        ArgumentError: as :func:`~emprune_lab.reporting.statistics.summarise`.
    """
    return _overview(summarise(results, reference, interval))


def tables_markdown(results: Sequence[Result], reference: str = RANDOM, interval: Interval = "student") -> str:
    """The content of table.md: an overview of each data set, then every setting's tables, each with its note.

    Raises:
        ArgumentError: as :func:`~emprune_lab.reporting.statistics.summarise`.
    """
    parts = []
    rows = summarise(results, reference, interval)
    for data in dict.fromkeys(row.setting.data for row in rows):
        own = [row for row in rows if row.setting.data == data]
        parts.append(f"## {data}: overview\n\n{_overview(own)}\n{overview_note(own)}\n")
    tables = build_tables(results, reference, interval)
    for setting, group in itertools.groupby(tables, key=lambda table: table.setting):
        parts.append(f"## {setting}\n")
        parts.extend(f"### {table.name}\n\n{to_markdown(table)}" for table in group)
    return "\n".join(parts)


def _overview(rows: Sequence[Row]) -> str:
    shown = [row for row in rows if not row.own_budget]
    titles = short_titles(list(dict.fromkeys(row.setting for row in shown)))
    columns: list[tuple[Setting, float]] = list(
        dict.fromkeys((row.setting, row.prune_rate) for row in shown if row.policy != FULL)
    ) or [(row.setting, row.prune_rate) for row in shown]
    cells = {(row.policy, row.setting, row.prune_rate): row for row in shown}
    lines = []
    for policy in policy_order(row.policy for row in shown):
        found = [cells.get((policy, setting, 0.0 if policy == FULL else rate)) for setting, rate in columns]
        lines.append([policy, *(_cell(row) for row in found)])
    headings = [f"{titles[setting]}, {rate:g}" if titles[setting] else f"rate {rate:g}" for setting, rate in columns]
    return markdown_table(["policy", *headings], [":---"] + ["---:"] * len(headings), lines)


def _cell(row: Row | None) -> str:
    if row is None:
        return NONE
    mean = format_mean(row.accuracy, row.metric.digits)
    if row.difference is None:
        return mean
    difference = format_difference(row.difference, row.metric.digits)
    return f"{mean}, " + (f"**{difference}**" if row.gain > 0 else difference)
