"""How long a comparison will still take, from what was measured of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

_MEASURED_SECONDS = 3.0
"""Of less nothing can be said."""


class Forecast:
    """Seconds left: samples still to train, at the speed of those trained since the first step.

    What a checkpoint or an earlier call had done counts as done and says nothing of the speed. What lies between two
    runs (evaluation, files) is in the time, and so in the speed.

    Args:
        work: samples that each run will train, by its run_id.
        clock: seconds, from anywhere.
    """

    def __init__(self, work: Mapping[str, int], clock: Callable[[], float] = time.monotonic) -> None:
        self._work, self._clock = work, clock
        self._began: float | None = None
        self._first: dict[str, float] = {}
        self._done = dict.fromkeys(work, 0.0)

    def progressed(self, run: str, fraction: float) -> None:
        """Take in how much of a run is done."""
        if self._began is None:
            self._began = self._clock()
        self._first.setdefault(run, fraction)
        self._done[run] = fraction

    def ended(self, run: str) -> None:
        """Take in that a run needs no more time, be it that it failed; one without a step was finished before."""
        self._first.setdefault(run, 1.0)
        self._done[run] = 1.0

    def seconds_left(self) -> float | None:
        """None until enough was measured."""
        if self._began is None or (passed := self._clock() - self._began) < _MEASURED_SECONDS:
            return None
        measured = sum(self._work[run] * (self._done[run] - first) for run, first in self._first.items())
        left = sum(self._work[run] * (1 - done) for run, done in self._done.items())
        return left * passed / measured if measured > 0 else None


def in_words(seconds: float) -> str:
    """Two digits at most.

    >>> in_words(7.2), in_words(95), in_words(700), in_words(4000), in_words(200_000)
    ('7 s', '1.6 min', '12 min', '1.1 h', '56 h')
    """
    for unit, size, until in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, float("inf"))):
        if round(seconds / size) * size < until or unit == "h":
            break
    number = seconds / size
    return f"{number:.1f} {unit}" if number < 9.95 and unit != "s" else f"{number:.0f} {unit}"
