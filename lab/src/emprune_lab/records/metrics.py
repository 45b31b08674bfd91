"""The measures that comparisons are headed by: which way is better, and how reports write them."""

from __future__ import annotations

from dataclasses import dataclass

from emprune.errors import ArgumentError


@dataclass(frozen=True)
class Metric:
    """A measure.

    Attributes:
        name: as results call it. words: as reports do.
        higher_is_better: False for a loss.
        scale: reports multiply the value by it. unit: of the scaled value, "%" or "".
        reading: the scaled value in a sentence.
        difference_unit: of the difference of two scaled values; "" where it has none.
        digits: decimals of the scaled value in tables.
        point: what counts as one point, in scaled values; figures choose their axes by it.
    """

    name: str
    words: str
    higher_is_better: bool = True
    scale: float = 100.0
    unit: str = "%"
    reading: str = "{} %"
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

    @property
    def title(self) -> str:
        """Words that begin a sentence.

        >>> Metric("accuracy", "accuracy").title, Metric("knn", "kNN accuracy").title
        ('Accuracy', 'kNN accuracy')
        """
        return self.words if self.words[1].isupper() else self.words[0].upper() + self.words[1:]

    def said(self, scaled: float) -> str:
        """A scaled value in a sentence.

        >>> Metric("accuracy", "accuracy").said(98.333), Metric("f1", "F1", reading="{} % F1").said(45.6)
        ('98.33 %', '45.60 % F1')
        """
        return self.reading.format(f"{scaled:.{self.digits}f}")


METRICS: dict[str, Metric] = {}
"""Every measure by name; each task brings its own, when :mod:`emprune_lab.tasks` is imported."""


def metric_named(name: str) -> Metric:
    """The measure of a result. Raises ArgumentError where the name is unknown."""
    if name not in METRICS:
        raise ArgumentError("metric", name, f"one of {', '.join(METRICS)}")
    return METRICS[name]
