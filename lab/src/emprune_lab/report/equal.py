"""Speed-up at equal metric value: what plain training would have to spend for what a policy reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class SpeedUp:
    """Samples that plain training needs for the same value, over the policy's own.

    Attributes:
        bound: "≥" where the policy is better than all plain runs, "≤" where it is worse; the value is then that of the
            longest or shortest plain run.
    """

    value: float
    bound: Literal["", "≥", "≤"] = ""


@dataclass(frozen=True)
class Ladder:
    """Plain training on all data at several budgets, each with its schedule to the end.

    Attributes:
        samples: ascending. values: the best that was reached with no more samples; higher is better.
    """

    samples: tuple[float, ...]
    values: tuple[float, ...]

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> Ladder | None:
        """From (samples, value), of which higher is better; None of fewer than two budgets."""
        ordered = sorted(points)
        if len({samples for samples, _ in ordered}) < 2:
            return None
        values = np.maximum.accumulate([value for _, value in ordered])
        return cls(tuple(samples for samples, _ in ordered), tuple(map(float, values)))

    def speed_up(self, samples: float, value: float) -> SpeedUp:
        """Of a policy that reaches ``value`` with so many samples; log-linear between two budgets.

        >>> Ladder((100.0, 400.0), (80.0, 90.0)).speed_up(100, 85.0)
        SpeedUp(value=2.0, bound='')
        >>> Ladder((100.0, 400.0), (80.0, 90.0)).speed_up(200, 95.0)
        SpeedUp(value=2.0, bound='≥')
        """
        if value < self.values[0]:
            return SpeedUp(self.samples[0] / samples, "≤")
        if value > self.values[-1]:
            return SpeedUp(self.samples[-1] / samples, "≥")
        above = int(np.searchsorted(self.values, value))  # the first that reaches it
        if self.values[above] == value:
            return SpeedUp(self.samples[above] / samples)
        (low, high), (few, many) = self.values[above - 1 : above + 1], np.log(self.samples[above - 1 : above + 1])
        needed = float(np.exp(few + (many - few) * (value - low) / (high - low)))
        return SpeedUp(round(needed / samples, 12))
