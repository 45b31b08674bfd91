"""A comparison in one small table, for a README, and all tables of a comparison as one Markdown file."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from emprune_lab.records.results import Result
from emprune_lab.report.answer import answers
from emprune_lab.report.comparison import rates_of
from emprune_lab.report.costs import FULL, RANDOM
from emprune_lab.report.formats import NONE, format_difference, format_mean
from emprune_lab.report.layout import markdown_table, to_markdown
from emprune_lab.report.settings import Setting, by_setting, setting_titles, settings_table, short_titles
from emprune_lab.report.statistics import Row, policy_order, summarise
from emprune_lab.report.tables import notes_of, setting_tables

_NOTE = (
    "the metric that heads the comparison, then the difference to the reference at the same rate; one column a setting "
    "and rate. Policies with a budget of their own are left out."
)


def overview_markdown(results: Iterable[Result], reference: str = RANDOM) -> str:
    """The metric's mean and the paired difference to the reference, one column a setting and rate.

    A cell reads: mean ± half the 95 % interval over seeds, then the difference to the reference at the same rate and
    seeds with its interval; bold where it is significantly better. ``full`` trains on more samples and has no
    difference; policies with a budget of their own are left out.

    Raises:
        ArgumentError: as :func:`~emprune_lab.report.statistics.summarise`.
    """
    return _overview(summarise(results, reference))


def tables_markdown(results: Sequence[Result], reference: str = RANDOM) -> str:
    """The content of table.md: an overview of each data set, every setting with its tables, and how to read them.

    On a user's own data the answer to his question stands first.

    Raises:
        ArgumentError: as :func:`~emprune_lab.report.statistics.summarise`.
    """
    rows, members = summarise(results, reference), by_setting(results)
    parts, tables = [], []
    for data, group in itertools.groupby(rows, key=lambda row: row.setting.data):
        parts.append(f"## {data}: overview\n\n{_overview(list(group))}")
    titles = setting_titles(list(members))
    for setting, group in itertools.groupby(rows, key=lambda row: row.setting):
        settings = "\n".join(f"- {name}: {value}" for name, value in settings_table(members[setting]).items())
        own = list(group)
        said = "".join(f"{sentence}\n\n" for sentence in answers(own)) if setting.own else ""
        parts.append(f"## {titles[setting]}\n\n{said}{settings}\n")
        tables += setting_tables(own, titles[setting])
        parts += [f"### {one.name}\n\n{to_markdown(one)}" for one in tables if one.setting == titles[setting]]
    notes = {"overview": _NOTE, **notes_of(tables)}
    parts.append("## Notes\n\n" + "\n".join(f"- **{name}**: {note}" for name, note in notes.items()) + "\n")
    return "\n".join(parts)


def _overview(rows: Sequence[Row]) -> str:
    shown = [row for row in rows if not row.own_budget]
    titles = short_titles(list(dict.fromkeys(row.setting for row in shown)))
    columns: list[tuple[Setting, float]] = []
    for setting in titles:
        rates = rates_of({(row.policy, row.prune_rate): row for row in shown if row.setting == setting})
        columns += [(setting, rate) for rate in rates]
    columns = columns or [(row.setting, row.prune_rate) for row in shown]
    cells = {(row.policy, row.setting, row.prune_rate): row for row in shown}
    lines = []
    for policy in policy_order(row.policy for row in shown):
        found = [cells.get((policy, setting, 0.0 if policy == FULL else rate)) for setting, rate in columns]
        lines.append([policy, *(_cell(row) for row in found)])
    headings = [", ".join(filter(None, (titles[setting], f"{rate:g}"))) for setting, rate in columns]
    return markdown_table(["policy", *headings], [":---"] + ["---:"] * len(headings), lines)


def _cell(row: Row | None) -> str:
    if row is None:
        return NONE
    mean = format_mean(row.mean, row.metric.digits)
    if row.difference is None:
        return mean
    difference = format_difference(row.difference, row.metric.digits)
    return f"{mean}, " + (f"**{difference}**" if row.measures[0].gain > 0 else difference)
