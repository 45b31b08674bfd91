"""A table of text: one generic form, rendered for the terminal and as Markdown."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

Tone = Literal["", "better", "worse"]
_STYLES: dict[Tone, str] = {"better": "bold green", "worse": "red", "": ""}
_HEADING = 24
"""Characters of a heading's line in a terminal."""
_NEEDED = 3
"""Columns that no terminal does without: rate, policy and what heads the table."""


@dataclass(frozen=True)
class Cell:
    """One entry. tone: set on a significant difference."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Table:
    """One of a setting's tables.

    Attributes:
        setting: the setting in words.
        name: what the table shows of it.
        columns: headings, the prune rate's first, the policy's second.
        lines: a cell a column; ``full`` first where it is in, then by rate.
        note: how to read it, the same for all tables of that name.
    """

    setting: str
    name: str
    columns: tuple[str, ...]
    lines: tuple[tuple[Cell, ...], ...]
    note: str


@dataclass(frozen=True)
class TerminalTable:
    """A table that leaves out its last columns, and says so, rather than cut numbers in a narrow terminal."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unbounded, columns = options.update(width=10_000), self.table.columns
        for shown in range(len(columns), _NEEDED - 1, -1):
            drawn = to_rich(self.table, shown)
            if Measurement.get(console, unbounded, drawn).maximum <= options.max_width:
                break
        yield drawn
        if columns[shown:]:
            yield Text(f"Not shown in this width: {', '.join(columns[shown:])}.", style="dim")
        yield Text()


def to_rich(table: Table, columns: int) -> RichTable:
    """Its first columns as a rich table, significant differences in colour, each rate named once."""
    title = f"{table.setting}\n{table.name}"
    drawn = RichTable(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for position, column in enumerate(table.columns[:columns]):
        heading = textwrap.fill(column, _HEADING, break_long_words=False, break_on_hyphens=False)
        drawn.add_column(heading, justify="left" if position == 1 else "right", no_wrap=True)
    for rate, group in itertools.groupby(table.lines, key=lambda line: line[0].text):
        for number, line in enumerate(group):
            cells = [Text(cell.text, style=_STYLES[cell.tone]) for cell in line[1:columns]]
            drawn.add_row("" if number else Text(rate, style="bold"), *cells)
    return drawn


def to_markdown(table: Table) -> str:
    """As a Markdown table; significant gains are bold."""
    lines = [[f"**{cell.text}**" if cell.tone == "better" else cell.text for cell in line] for line in table.lines]
    rules = ["---:", ":---"] + ["---:"] * (len(table.columns) - 2)
    return markdown_table(table.columns, rules, lines)


def markdown_table(headings: Sequence[str], rules: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Rows of text as a Markdown table; ``rules`` are the cells that align the columns."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [headings, rules, *lines]) + "\n"
