"""What a person sees while runs train."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from emprune_lab.runs.compare import Event
from emprune_lab.runs.progress import Progress as RunProgress


class LiveView:
    """One bar for the comparison, one line a running run; a plain line a finished run where there is no terminal.

    Use as a context manager and hand :meth:`show` to the comparison.
    """

    def __init__(self, console: Console, total: int) -> None:
        self.console = console
        self.bars = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            console=console,
            transient=True,
        )
        self.all_runs = self.bars.add_task("runs", total=total, detail="")
        self.tasks: dict[str, TaskID] = {}
        self.finished, self.total, self.began = 0, total, time.perf_counter()

    def __enter__(self) -> LiveView:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def show(self, event: Event) -> None:
        """Take in one event."""
        if event.progress is not None:
            self._update(event, event.progress)
        else:
            self._end(event)

    def _update(self, event: Event, progress: RunProgress) -> None:
        name = event.spec.run_id
        if name not in self.tasks:
            self.tasks[name] = self.bars.add_task(_title(event), total=progress.total_steps, detail="")
        detail = (
            f"epoch {progress.epoch + 1}/{progress.epochs}  kept {progress.kept}/{progress.num_samples}  "
            f"loss {progress.loss:.3f}  train acc {progress.accuracy:.1%}  "
            f"{progress.samples_per_second:,.0f} samples/s  "
            f"{_duration(progress.seconds_left)} left, {_duration(progress.seconds_saved)} saved"
        )
        self.bars.update(self.tasks[name], completed=progress.step, detail=detail)

    def _end(self, event: Event) -> None:
        task = self.tasks.pop(event.spec.run_id, None)
        if task is not None:
            self.bars.remove_task(task)
        if event.result is None:
            return
        self.finished += 1
        elapsed = time.perf_counter() - self.began
        left = elapsed / self.finished * (self.total - self.finished)
        self.bars.update(self.all_runs, completed=self.finished, detail=f"about {_duration(left)} left")
        result = event.result
        self.console.print(
            f"[{self.finished}/{self.total}] {_title(event)}: {result.headline}, "
            f"{result.samples_backward:,} samples in {result.optimizer_steps:,} steps, {result.seconds['total']:.1f} s",
            highlight=False,
        )


def _title(event: Event) -> str:
    noise = f" noise {event.spec.label_noise:g}" if event.spec.label_noise else ""
    return f"{event.spec.policy} rate {event.spec.prune_rate:g} seed {event.spec.seed}{noise}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
