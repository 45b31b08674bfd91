"""When runs are asked to stop: by a signal, or because the time given is over."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """A flag that a signal or a deadline sets; steps ask for it and save their state.

    Args:
        minutes: time from now on; None: without limit.
    """

    def __init__(self, minutes: float | None = None) -> None:
        self._asked = threading.Event()
        self._deadline = float("inf") if minutes is None else time.monotonic() + 60 * minutes

    @property
    def out_of_time(self) -> bool:
        """Whether the deadline is over and nobody asked to stop before."""
        return not self._asked.is_set() and time.monotonic() > self._deadline

    def is_set(self) -> bool:
        """Whether to stop now."""
        return self._asked.is_set() or time.monotonic() > self._deadline

    @contextmanager
    def on_signals(self, say: Callable[[str], None]) -> Iterator[None]:
        """Inside, Ctrl-C and SIGTERM set the flag, and a second one ends the process at once."""

        def handle(number: int, frame: object) -> None:
            if self._asked.is_set():
                raise KeyboardInterrupt
            self._asked.set()
            say("Stopping after this step; once more to end without saving.")

        # Other threads may not say what a signal does.
        numbers = _NUMBERS if threading.current_thread() is threading.main_thread() else ()
        before = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
