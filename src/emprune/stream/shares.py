"""How many samples of a stream's next batch are trained: exact over a stream of any length, on any number of ranks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from emprune.checks import number


@dataclass(frozen=True)
class StreamShares:
    """The samples of a rank's stream that go through backward, by how many have come.

    Of its first n samples rank i of W trains

        K_i(n) = ⌊(1 - r)·n + (2i + 1) / (2W)⌋,

    so a batch gets what K grows by. On one rank that is (1 - r)·n, rounded to the nearest whole number at every batch:
    what is rounded off one batch is carried to the next. On several the offsets make the sum exact, too: where each has
    seen n, Σ K_i(n) = ⌊(1 - r)·W·n + 1/2⌋ (Hermite's identity), without a word between them. A rank alone is off by
    less than one sample.

    Args:
        prune_rate: r in [0, 1), taken as the decimal number that it is written as.
        rank, ranks: i and W.

    Raises:
        ArgumentError: r is outside [0, 1).

    >>> shares = StreamShares(0.7)
    >>> [shares.of_next(16 * batch, 16) for batch in range(5)]
    [5, 5, 4, 5, 5]
    """

    prune_rate: float
    rank: int = 0
    ranks: int = 1

    def __post_init__(self) -> None:
        allowed = "a number in [0, 1), the fraction of the stream that is left out of backward"
        object.__setattr__(self, "prune_rate", number("prune_rate", self.prune_rate, allowed, lambda r: 0 <= r < 1))

    def of_first(self, count: int) -> int:
        """K of the first ``count`` samples; never more than these."""
        kept = 1 - Fraction(repr(float(self.prune_rate)))
        return int(kept * count + Fraction(2 * self.rank + 1, 2 * self.ranks))

    def of_next(self, seen: int, size: int) -> int:
        """The share of a batch of ``size`` samples that comes after ``seen`` others."""
        return self.of_first(seen + size) - self.of_first(seen)

    @property
    def least_batch(self) -> int:
        """Samples from which on a batch has a share of at least one."""
        kept = 1 - Fraction(repr(float(self.prune_rate)))
        return -(-kept.denominator // kept.numerator)
