"""The measures that comparisons are headed by: which way is better, and how reports write them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from emprune.errors import ArgumentError


@dataclass(frozen=True)
class Metric:
    """A measure.

    Attributes:
        name: as results call it.
        words: as reports do.
        higher_is_better: False for a loss.
        scale: reports multiply the value by it.
        unit: of the scaled value, "%" or "".
        difference_unit: of the difference of two scaled values; "" where it has none.
        digits: decimals of the scaled value in tables.
        point: what counts as one point, in scaled values; figures choose their axes by it.
    """

    name: str
    words: str
    higher_is_better: bool = True
    scale: float = 100.0
    unit: str = "%"
    difference_unit: str = "percentage points"
    digits: int = 2
    point: float = 1.0

    @property
    def sign(self) -> int:
        """1 where higher is better, else −1: a difference times it is a gain."""
        return 1 if self.higher_is_better else -1

    @property
    def column(self) -> str:
        """Heading of a column."""
        return f"{self.words} {self.unit}".rstrip()

    @property
    def axis(self) -> str:
        """Label of an axis."""
        return f"{self.words}, {self.unit}" if self.unit else self.words


def own_metric(name: str, higher_is_better: bool, full: float) -> Metric:
    """A measure of a user's own, written as his function returns it.

    Nothing says what a point of it is: a hundredth of what plain training on all the data reaches.

    Args:
        full: that value.

    >>> one = own_metric("perplexity", False, 23.4)
    >>> round(one.point, 3), one.digits, own_metric("accuracy", True, 0.93).digits
    (0.234, 3, 4)
    """
    point = abs(full) / 100 or 0.01
    digits = min(max(0, 2 - round(math.log10(point))), _MOST_DIGITS)
    words = name.replace("_", " ")
    return Metric(name, words, higher_is_better, 1.0, unit="", difference_unit="", digits=digits, point=point)


_MOST_DIGITS = 12
METRICS: dict[str, Metric] = {}
"""Every measure by name; each task brings its own, when :mod:`emprune_lab.tasks` is imported."""


def metric_named(name: str) -> Metric:
    """The measure of a result. Raises ArgumentError where the name is unknown."""
    if name not in METRICS:
        raise ArgumentError("metric", name, f"one of {', '.join(METRICS)}")
    return METRICS[name]
