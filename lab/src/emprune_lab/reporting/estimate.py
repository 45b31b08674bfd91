"""A number over seeds, with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Interval = Literal["student", "bootstrap"]
"""How an interval over seeds is made: Student's t, or the percentile bootstrap."""

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A statistic over seeds.

    Attributes:
        value: the statistic of all seeds. low, high: its 95 % interval; None where there is none.
        spread: standard deviation over the seeds (n - 1); None for one seed or where it means nothing.
        count: number of seeds.
        interval: how low and high were made.
    """

    value: float
    low: float | None
    high: float | None
    spread: float | None
    count: int
    interval: Interval = "student"

    @property
    def half_width(self) -> float | None:
        """Half of the interval's length."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def sign(self) -> int:
        """+1 or -1 where the whole interval lies on that side of zero, else 0; 0 without an interval."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)
