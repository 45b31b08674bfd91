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
        difference_unit: of the difference of two scaled values.
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

        >>> METRICS["accuracy"].title, METRICS["knn"].title
        ('Accuracy', 'kNN accuracy')
        """
        return self.words if self.words[1].isupper() else self.words[0].upper() + self.words[1:]

    def said(self, scaled: float) -> str:
        """A scaled value in a sentence.

        >>> METRICS["accuracy"].said(98.333), METRICS["matthews"].said(45.6)
        ('98.33 %', '45.60 (Matthews × 100)')
        """
        return self.reading.format(f"{scaled:.{self.digits}f}")


def _bits(name: str) -> Metric:
    return Metric(
        name, name, higher_is_better=False, scale=1.0, unit="", reading=f"{{}} {name}", difference_unit="bits",
        digits=3, point=0.02,
    )  # fmt: skip


METRICS: dict[str, Metric] = {
    one.name: one
    for one in (
        Metric("accuracy", "accuracy"),
        Metric("f1", "F1", reading="{} % F1"),
        Metric(
            "matthews", "Matthews × 100", unit="", reading="{} (Matthews × 100)", difference_unit="points of 100"
        ),
        _bits("bits per character"),
        _bits("bits per masked token"),
        Metric("knn", "kNN accuracy", reading="{} % kNN accuracy"),
        Metric("linear probe", "linear probe", reading="{} % by a linear probe"),
        Metric(
            "linear probe, 10 % of labels", "linear probe on a tenth of the labels",
            reading="{} % by a linear probe on a tenth of the labels",
        ),
    )
}  # fmt: skip
"""Every measure by name."""


def metric_named(name: str) -> Metric:
    """The measure of a result. Raises ArgumentError where the name is unknown."""
    if name not in METRICS:
        raise ArgumentError("metric", name, f"one of {', '.join(METRICS)}")
    return METRICS[name]
