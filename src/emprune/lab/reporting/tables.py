"""The comparison as a table: one generic form, rendered for the terminal and as Markdown."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from emprune.lab.reporting.bootstrap import Estimate
from emprune.lab.reporting.statistics import RANDOM, Row, Setting, summarise
from emprune.lab.results import Result

NONE = "–"
Tone = Literal["", "better", "worse"]
_LEAST_NEEDED = ("steps", "select s", "samples", "train s", "gap closed", "true labels %", "remembered %")


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
    """A comparison in one setting.

    Attributes:
        title: the setting in words.
        columns: headings, without the rate's.
        blocks: ``full`` first, then one a rate.
    """

    title: str
    columns: tuple[str, ...]
    blocks: tuple[Block, ...]


def build_table(rows: Sequence[Row], reference: str = RANDOM) -> Table:
    """Turn one setting's rows into text.

    Args:
        rows: of one setting, as :func:`emprune.lab.reporting.statistics.summarise` orders them.
        reference: the policy that the rows' differences were taken to.
    """
    noisy = rows[0].setting.label_noise > 0
    columns = [
        "policy", "accuracy %", f"minus {reference}", "gap closed", "remembered %", *(["true labels %"] * noisy),
        "samples", "steps", "train s", "select s",
    ]  # fmt: skip
    blocks = [
        Block(f"{rate:g}", tuple(_line(row, reference, noisy) for row in group))
        for rate, group in itertools.groupby(rows, key=lambda row: row.prune_rate)
    ]
    return Table(setting_title(rows[0].setting), tuple(columns), tuple(blocks))


def build_tables(results: Iterable[Result], reference: str = RANDOM) -> list[Table]:
    """The tables of all settings. Raises ArgumentError where budgets differ."""
    rows = summarise(results, reference)
    return [build_table(list(group), reference) for _, group in itertools.groupby(rows, key=lambda row: row.setting)]


def rich_tables(results: Iterable[Result], reference: str = RANDOM) -> list[TerminalTable]:
    """The tables of all settings, to print on a rich console. Raises ArgumentError where budgets differ."""
    return [TerminalTable(table) for table in build_tables(results, reference)]


class TerminalTable:
    """A table that leaves out whole columns, and says so, rather than cut numbers in a narrow terminal."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unbounded = options.update(width=10_000)
        droppable = [column for column in _LEAST_NEEDED if column in self.table.columns]
        for number in range(len(droppable) + 1):
            drawn = to_rich(self.table, droppable[:number])
            if Measurement.get(console, unbounded, drawn).maximum <= options.max_width:
                break
        yield drawn
        if number:
            yield Text(f"Not shown in this width: {', '.join(droppable[:number])}.", style="dim")
        yield Text()


def to_rich(table: Table, leave_out: Collection[str] = ()) -> RichTable:
    """As a rich table, differences whose interval leaves out zero in colour.

    Args:
        leave_out: headings of columns to do without.
    """
    drawn = RichTable(title=table.title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown = [position for position, column in enumerate(table.columns) if column not in leave_out]
    drawn.add_column("rate", justify="right", style="bold", no_wrap=True)
    for position in shown:
        drawn.add_column(table.columns[position], justify="right" if position else "left", no_wrap=True)
    styles = {"better": "green", "worse": "red", "": ""}
    for block in table.blocks:
        for number, line in enumerate(block.lines):
            cells = [Text(line[position].text, style=styles[line[position].tone]) for position in shown]
            drawn.add_row("" if number else block.rate, *cells, end_section=number == len(block.lines) - 1)
    return drawn


def to_markdown(table: Table) -> str:
    """As a Markdown table; gains whose interval leaves out zero are bold."""
    lines = []
    for block in table.blocks:
        for line in block.lines:
            cells = [f"**{cell.text}**" if cell.tone == "better" else cell.text for cell in line]
            lines.append([block.rate, *cells])
    return markdown_table(["rate", *table.columns], ["---:", ":---"] + ["---:"] * (len(table.columns) - 1), lines)


def markdown_table(headings: Sequence[str], rules: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Rows of text as a Markdown table; ``rules`` are the cells that align the columns."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [headings, rules, *lines]) + "\n"


def setting_title(setting: Setting) -> str:
    """The setting in words: data, model, split, noise, and what else departs from the plainest run."""
    parts = [setting.data, setting.model, f"{setting.split} set"]
    parts.append(f"{100 * setting.label_noise:g} % wrong labels" if setting.label_noise else "clean labels")
    if setting.anneal:
        parts.append(f"last {100 * setting.anneal:g} % of the epochs on all data, rate counted per {setting.budget}")
    return " · ".join(parts)


def signed(number: float, digits: int = 2) -> str:
    """With sign, and a true minus.

    >>> signed(-1.234), signed(0.5)
    ('−1.23', '+0.50')
    """
    # Adding zero turns the -0.0 of rounding into 0.0.
    return f"{round(number, digits) + 0.0:+.{digits}f}".replace("-", "−")


def format_mean(estimate: Estimate) -> str:
    """Mean ± half the interval's length."""
    half = estimate.half_width
    return f"{estimate.value:.2f}" + ("" if half is None else f" ± {half:.2f}")


def format_difference(estimate: Estimate | None) -> str:
    """Signed, with its interval in brackets."""
    if estimate is None:
        return NONE
    value = signed(estimate.value)
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{signed(estimate.low)}, {signed(estimate.high)}]"


def format_fraction(estimate: Estimate | None) -> str:
    """Gap closed, with its interval in brackets; "(…)" around a value that the seeds do not pin down."""
    if estimate is None:
        return NONE
    value = f"{estimate.value:.2f}".replace("-", "−")
    if estimate.low is None or estimate.high is None:
        return value if estimate.count == 1 else f"({value})"
    return f"{value} [{estimate.low:.2f}, {estimate.high:.2f}]".replace("-", "−")


def format_seconds(seconds: float) -> str:
    """Three digits, no more.

    >>> format_seconds(0.00961), format_seconds(5.273), format_seconds(812.4)
    ('0.010', '5.27', '812')
    """
    digits = 3 if seconds < 1 else 2 if seconds < 10 else 1 if seconds < 100 else 0
    return f"{seconds:.{digits}f}"


def _line(row: Row, reference: str, noisy: bool) -> tuple[Cell, ...]:
    # The reference against itself is zero by construction, not a finding.
    compared = row.policy != reference
    tones: dict[int, Tone] = {1: "better", -1: "worse", 0: ""}
    difference = row.difference if compared else None
    return (
        Cell(row.policy),
        Cell(format_mean(row.accuracy)),
        Cell(format_difference(difference), tones[difference.sign if difference else 0]),
        Cell(format_fraction(row.gap_closed if compared else None)),
        Cell(format_mean(row.remembered)),
        *([Cell(format_mean(row.remembered_true))] if noisy else []),
        Cell(f"{row.samples_backward:,}"),
        Cell(f"{row.optimizer_steps:,}"),
        Cell(format_seconds(row.seconds_train)),
        Cell(format_seconds(row.seconds_select)),
    )
