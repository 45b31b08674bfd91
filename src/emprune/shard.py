"""Shard: the rows of the score table that one rank holds, and what it asks the other ranks about the rest.

Rules and policies are written once, for a shard; the whole table is the shard of a rank that holds it all, and asks
nobody. So the result does not depend on how the rows are cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from emprune.distributed import World, places_by_rank

_T = TypeVar("_T", bound=np.generic)

BLOCK = 2**20
"""Rows that share one stream of random numbers; a rank draws the blocks of its own rows, and the first."""


@dataclass(frozen=True)
class Shard:
    """Rows ``begin`` to ``end`` of N.

    Attributes:
        num_samples: N. begin, end: the rows held.
        world: the ranks that hold the others; one alone where all rows are here.
    """

    num_samples: int
    begin: int
    end: int
    world: World = field(default_factory=World)

    @classmethod
    def whole(cls, num_samples: int) -> Shard:
        """All rows on every rank."""
        return cls(num_samples, 0, num_samples)

    @classmethod
    def of(cls, num_samples: int, world: World) -> Shard:
        """The rows of a rank: contiguous, in the order of ranks, sizes that differ by one at most.

        >>> Shard.of(10, World())
        Shard(num_samples=10, begin=0, end=10, ranks=1)
        """
        begin, end = (num_samples * rank // world.size for rank in (world.rank, world.rank + 1))
        return cls(num_samples, begin, end, world)

    def __repr__(self) -> str:
        return f"Shard(num_samples={self.num_samples}, begin={self.begin}, end={self.end}, ranks={self.world.size})"

    @property
    def rows(self) -> int:
        """How many are held here; may be none."""
        return self.end - self.begin

    @property
    def is_whole(self) -> bool:
        """Whether this rank holds all rows."""
        return self.world.size == 1

    def owner(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64, shape [M]: the rank that holds each id; the nearest one for ids out of range."""
        begins = self.num_samples * np.arange(1, self.world.size) // self.world.size
        return np.searchsorted(begins, ids, side="right")

    def counts(self, *values: int) -> NDArray[np.int64]:
        """int64, shape [ranks, len(values)]: every rank's numbers."""
        return np.stack(self.world.gather_alike(np.array(values, dtype=np.int64)))

    def total(self, count: int) -> int:
        """The sum of every rank's number."""
        return int(self.counts(count).sum())

    def count(self, mask: NDArray[np.bool_]) -> int:
        """How many rows are marked, on all ranks."""
        return self.total(int(np.count_nonzero(mask)))

    def sum(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Every rank's counts, added up place by place."""
        return self.world.sum(counts)

    def together(self, values: NDArray[_T]) -> NDArray[_T]:
        """Every rank's values, in the order of ranks: for the few that every rank must know."""
        return np.concatenate(self.world.gather(values))

    def ask(
        self,
        owner: NDArray[np.int64],
        about: NDArray[np.int64],
        answer: Callable[[NDArray[np.int64]], NDArray[_T]],
    ) -> NDArray[_T]:
        """What other ranks answer, in the order of the questions; all ranks must call it.

        Args:
            owner, about: int64, shape [M]: whom to ask, and what.
            answer: this rank's answers to what it is asked, one for each.
        """
        places = places_by_rank(owner, self.world.size)
        asked = self.world.deal([about[place] for place in places])
        answers = np.concatenate(self.world.deal([answer(part) for part in asked]))
        found = np.empty_like(answers)
        found[np.concatenate(places)] = answers
        return found

    def mean(self, values: NDArray[np.float32]) -> float:
        """Mean of all ranks' values, summed in float64; 0 without any.

        The sum's last bit depends on how the rows are cut, the float32 to which callers round it does not, unless the
        exact mean lies within some 10⁻¹⁵ of the middle between two of them.
        """
        sums = np.stack(self.world.gather_alike(np.array([values.sum(dtype=np.float64), len(values)])))
        total, count = sums.sum(axis=0)
        return float(total / count) if count else 0.0

    def draw(
        self, rng: np.random.Generator, fill: Callable[[np.random.Generator, NDArray[np.float32]], object]
    ) -> NDArray[np.float32]:
        """float32, shape [rows]: a random number for each row, the same however the rows are cut.

        The first block comes from ``rng`` itself, on every rank, so that it stands at the same place on all of them
        afterwards; each later block has a generator of its own.

        Args:
            fill: writes the next numbers of a generator into an array.
        """
        drawn = np.empty(self.rows, dtype=np.float32)
        seeds: list[Any] = []
        if self.num_samples > BLOCK:
            seeds = rng.bit_generator.seed_seq.spawn(-(-self.num_samples // BLOCK) - 1)  # type: ignore[attr-defined]
        for block in {0, *range(self.begin // BLOCK, -(-self.end // BLOCK))}:
            first, last = block * BLOCK, min((block + 1) * BLOCK, self.num_samples)
            generator = np.random.Generator(np.random.SFC64(seeds[block - 1])) if block else rng
            begin, end = max(first, self.begin), min(last, self.end)
            if (begin, end) == (first, last):
                fill(generator, drawn[begin - self.begin : end - self.begin])
                continue
            numbers = np.empty(last - first, dtype=np.float32)
            fill(generator, numbers)
            if begin < end:
                drawn[begin - self.begin : end - self.begin] = numbers[begin - first : end - first]
        return drawn
