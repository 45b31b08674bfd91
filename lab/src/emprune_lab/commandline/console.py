"""What a person sees while runs train, and how they are stopped."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from emprune.errors import ArgumentError
from emprune_lab.runs.compare import Event
from emprune_lab.specs.spec import RunSpec

_A_DAY = 24 * 3600.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class LiveView(Progress):
    """One bar for the comparison, one line a running run; a plain line a finished run where there is no terminal.

    Use as a context manager and hand :meth:`show` to the comparison.
    """

    def __init__(self, console: Console, total: int) -> None:
        super().__init__(
            TextColumn("{task.description}", style="bold", markup=False), BarColumn(bar_width=20), MofNCompleteColumn(),
            TimeRemainingColumn(), TextColumn("{task.fields[detail]}", markup=False),
            console=console, transient=True, speed_estimate_period=_A_DAY,
        )  # fmt: skip
        self._total = total
        self._all_runs = self.add_task("runs", total=total, detail="")
        self._running: dict[str, TaskID] = {}
        self._finished = 0

    def show(self, event: Event) -> None:
        """Take in one event."""
        name, progress = event.spec.run_id, event.progress
        if progress is None:
            self._end(event)
            return
        if name not in self._running:
            self._running[name] = self.add_task(_title(event.spec), total=progress.total_steps, detail="")
        detail = (
            f"epoch {progress.epoch + 1}/{progress.epochs}  kept {progress.kept}/{progress.num_samples}  "
            f"loss {progress.loss:.3f}  train acc {progress.accuracy:.1%}  "
            f"{progress.samples_per_second:,.0f} samples/s  {progress.seconds_saved / 60:.1f} min saved"
        )
        self.update(self._running[name], completed=progress.step, detail=detail)

    def _end(self, event: Event) -> None:
        task, result = self._running.pop(event.spec.run_id, None), event.result
        if task is not None:
            self.remove_task(task)
        if result is None:
            return
        self._finished += 1
        self.update(self._all_runs, completed=self._finished)
        self.console.print(
            f"[{self._finished}/{self._total}] {_title(event.spec)}: {result.headline}, {result.samples_backward:,} "
            f"samples in {result.optimizer_steps:,} steps, {result.seconds['total']:.1f} s",
            highlight=False, markup=False,
        )  # fmt: skip


def _title(spec: RunSpec) -> str:
    noise = f" noise {spec.label_noise:g}" if spec.label_noise else ""
    return f"{spec.policy} rate {spec.prune_rate:g} seed {spec.seed}{noise}"


class Stop:
    """What steps ask whether to save their state and stop: yes after a signal, or when the time given is over.

    Args:
        minutes: time from now on, at least 0; None: without limit.

    Attributes:
        asked: whether a signal asked for it.
    """

    def __init__(self, minutes: float | None = None) -> None:
        if minutes is not None and not minutes >= 0:
            raise ArgumentError("budget_minutes", minutes, "a number of at least 0")
        self.asked = False
        self._deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes

    def __call__(self) -> bool:
        """Whether to stop now."""
        return self.asked or time.monotonic() > self._deadline

    @contextmanager
    def on_signals(self, notify: Callable[[str], None]) -> Iterator[None]:
        """Inside, Ctrl-C and SIGTERM ask to stop, and a second one ends the process at once."""

        def handle(number: int, frame: object) -> None:
            if self.asked:
                raise KeyboardInterrupt
            self.asked = True
            notify("Stopping after this step; once more to end without saving.")

        # Other threads may not say what a signal does.
        numbers = _SIGNALS if threading.current_thread() is threading.main_thread() else ()
        before = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
