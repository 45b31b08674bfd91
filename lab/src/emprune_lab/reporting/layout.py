"""A table of text: one generic form, rendered for the terminal and as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

Tone = Literal["", "better", "worse"]
_HEADING = 24
"""Characters of a heading's line in a terminal."""


@dataclass(frozen=True)
class Cell:
    """One entry. tone: set on a difference whose interval leaves out zero."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Block:
    """The policies at one rate: the rate's text, and one line of cells a policy."""

    rate: str
    lines: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Table:
    """One of a setting's tables.

    Attributes:
        setting: the setting in words. name: what the table shows of it.
        columns: headings, without the rate's.
        blocks: ``full`` first where it is in, then one a rate.
        note: sentences that belong under it: what is compared, and what the intervals are.
        least_needed: headings that a narrow terminal can do without, the first first.
    """

    setting: str
    name: str
    columns: tuple[str, ...]
    blocks: tuple[Block, ...]
    note: str
    least_needed: tuple[str, ...] = ()


class TerminalTable:
    """A table that leaves out whole columns, and says so, rather than cut numbers in a narrow terminal.

    Args:
        with_note: whether the table's note is printed under it.
    """

    def __init__(self, table: Table, *, with_note: bool = True) -> None:
        self.table, self.with_note = table, with_note

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unbounded = options.update(width=10_000)
        droppable = [column for column in self.table.least_needed if column in self.table.columns]
        for number in range(len(droppable) + 1):
            drawn = to_rich(self.table, droppable[:number])
            if Measurement.get(console, unbounded, drawn).maximum <= options.max_width:
                break
        yield drawn
        if number:
            yield Text(f"Not shown in this width: {', '.join(droppable[:number])}.", style="dim")
        if self.with_note:
            yield Text(self.table.note, style="dim")
        yield Text()


def to_rich(table: Table, leave_out: Collection[str] = ()) -> RichTable:
    """As a rich table, differences whose interval leaves out zero in colour.

    Args:
        leave_out: headings of columns to do without.
    """
    title = f"{table.setting}\n{table.name}"
    drawn = RichTable(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown = [position for position, column in enumerate(table.columns) if column not in leave_out]
    drawn.add_column("rate", justify="right", style="bold", no_wrap=True)
    for position in shown:
        heading = textwrap.fill(table.columns[position], _HEADING, break_long_words=False, break_on_hyphens=False)
        drawn.add_column(heading, justify="right" if position else "left", no_wrap=True)
    styles = {"better": "bold green", "worse": "red", "": ""}
    for block in table.blocks:
        for number, line in enumerate(block.lines):
            cells = [Text(line[position].text, style=styles[line[position].tone]) for position in shown]
            drawn.add_row("" if number else block.rate, *cells, end_section=number == len(block.lines) - 1)
    return drawn


def to_markdown(table: Table) -> str:
    """As a Markdown table with its note under it; gains whose interval leaves out zero are bold."""
    lines = []
    for block in table.blocks:
        for line in block.lines:
            cells = [f"**{cell.text}**" if cell.tone == "better" else cell.text for cell in line]
            lines.append([block.rate, *cells])
    rules = ["---:", ":---"] + ["---:"] * (len(table.columns) - 1)
    return markdown_table(["rate", *table.columns], rules, lines) + f"\n{table.note}\n"


def markdown_table(headings: Sequence[str], rules: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Rows of text as a Markdown table; ``rules`` are the cells that align the columns."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [headings, rules, *lines]) + "\n"
