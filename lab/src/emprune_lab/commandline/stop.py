"""How runs are stopped: by a signal, or when the time given is over."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emprune.errors import ArgumentError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
