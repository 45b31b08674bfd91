"""What a person sees while runs train, in a terminal of any width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from emprune_lab.commandline.forecast import Forecast, in_words
from emprune_lab.runs.event import Event
from emprune_lab.runs.progress import Progress
from emprune_lab.specs.spec import Spec

_NARROW, _BAR, _SHORT_BAR, _PERCENT, _GAP, _LEAST_TITLE = 100, 20, 10, 4, 2, 12


@dataclass
class Line:
    """A title, long and short, how much of it is done, and what there is to tell, what matters most first."""

    title: str
    short: str
    total: int
    done: int = 0
    told: Sequence[str] = field(default_factory=list)


class LiveView:
    """One bar for the comparison, one line a running run; a plain line a finished run where there is no terminal.

    Use as a context manager and hand :meth:`show` to the comparison.

    Args:
        work: samples that each run will train, by its run_id.
    """

    def __init__(self, console: Console, work: Mapping[str, int]) -> None:
        self._console, self._forecast = console, Forecast(work)
        self._total, self._finished, self._failed = len(work), 0, 0
        self._running: dict[str, Line] = {}
        self._live = Live(console=console, transient=True, refresh_per_second=4, get_renderable=self._lines)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, event: Event) -> None:
        """Take in one event."""
        name, progress = event.spec.run_id, event.progress
        if progress is None:
            self._end(event)
            return
        self._forecast.progressed(name, progress.step / progress.total_steps)
        titles = title_of(event.spec), _short_title(event.spec)
        self._running[name] = Line(*titles, progress.total_steps, progress.step, _told(progress))

    def _end(self, event: Event) -> None:
        self._running.pop(event.spec.run_id, None)
        result = event.result
        if result is None and event.error is None:
            return
        self._forecast.ended(event.spec.run_id)
        if result is None:
            self._failed += 1
            said = f"[failed] {title_of(event.spec)}: {event.error}"
        else:
            self._finished += 1
            spent = f"{result.samples_backward:,} samples in {result.optimizer_steps:,} steps"
            said = f"[{self._finished}/{self._total}] {title_of(event.spec)}: {result.headline}, {spent}"
            said += f", {result.seconds['total']:.1f} s"
        self._console.print(said, highlight=False, markup=False, soft_wrap=True, style="red" if event.error else None)

    def _lines(self) -> Table:
        """As wide as the terminal is now."""
        ended, left = self._finished + self._failed, self._forecast.seconds_left()
        told = [f"{ended}/{self._total}"]
        told += [f"{self._failed} failed"] if self._failed else []
        told += [f"about {in_words(left)} left"] if left is not None else []
        return lines_of([Line("runs", "runs", self._total, ended, told), *self._running.values()], self._console.width)


def lines_of(lines: Sequence[Line], width: int) -> Table:
    """Title, bar, percent and as much of what is told as fits, a line each; never wider than ``width``."""
    bar, titles = _BAR, [line.title for line in lines]
    if width < _NARROW:
        bar, titles = _SHORT_BAR, [line.short for line in lines]
    title = min(max(map(len, titles)), max(width // 3, _LEAST_TITLE))
    room = width - title - bar - _PERCENT - 3 * _GAP
    columns = [Column(width=title, no_wrap=True), Column(width=bar), Column(width=_PERCENT, justify="right"), Column()]
    grid = Table.grid(*columns, padding=(0, _GAP, 0, 0), pad_edge=False)
    for name, line in zip(titles, lines, strict=True):
        share = line.done / max(line.total, 1)
        grid.add_row(
            Text(_cut(name, title), style="bold"), ProgressBar(total=1.0, completed=share, width=bar),
            f"{int(100 * share)}%", Text(_fitting(line.told, room), no_wrap=True),
        )  # fmt: skip
    return grid


def title_of(spec: Spec) -> str:
    """A run in words."""
    noise = f" noise {spec.label_noise:g}" if spec.label_noise else ""
    return f"{spec.policy} rate {spec.prune_rate:g} seed {spec.seed}{noise}"


def _short_title(spec: Spec) -> str:
    noise = f" n{spec.label_noise:g}" if spec.label_noise else ""
    return f"{spec.policy} {spec.prune_rate:g} s{spec.seed}{noise}"


def _told(progress: Progress) -> list[str]:
    """Where a run stands, what matters most first."""
    return [
        f"epoch {progress.epoch + 1}/{progress.epochs}",
        f"loss {progress.loss:.3f}",
        *([] if progress.accuracy is None else [f"train acc {progress.accuracy:.1%}"]),
        f"kept {progress.kept}/{progress.num_samples}",
        f"{progress.samples_per_second:,.0f} samples/s",
        f"{in_words(max(progress.seconds_saved, 0))} saved",
    ]


def _fitting(told: Sequence[str], room: int) -> str:
    """As many as fit whole.

    >>> _fitting(["epoch 1/3", "loss 0.123", "train acc 9.1%"], 22)
    'epoch 1/3  loss 0.123'
    """
    shown = ""
    for one in told:
        longer = f"{shown}  {one}" if shown else one
        if len(longer) > room:
            break
        shown = longer
    return shown


def _cut(title: str, width: int) -> str:
    """Shortened in its policy, so that rate and seed, which tell runs apart, are seen.

    >>> _cut("infobatch-published rate 0.7 seed 3", 24)
    'infobat… rate 0.7 seed 3'
    """
    if len(title) <= width:
        return title
    policy, space, rest = title.partition(" ")
    kept = width - len(space + rest) - 1
    return f"{policy[:kept]}… {rest}" if kept > 2 else f"{title[: width - 1]}…"
