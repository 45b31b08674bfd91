"""RankSlice: the rows of the score table that one rank holds, and what it asks the other ranks about the rest.

Rules are written once, for the rows of a rank; the whole table is the slice of a rank that holds it all and asks
nobody. So the result does not depend on how the rows are partitioned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from emprune.distributed.world import World, places_by_rank

_T = TypeVar("_T", bound=np.generic)

BLOCK = 2**20
"""Rows that share one stream of random numbers; a rank draws the blocks of its own rows, and the first."""


@dataclass(frozen=True)
class RankSlice:
    """Rows ``begin`` to ``end`` of N.

    Attributes:
        num_samples: N.
        begin: first of the rows held.
        end: one past the last of them.
        world: the ranks that hold the others; one alone where all rows are here.
    """

    num_samples: int
    begin: int
    end: int
    world: World = field(default_factory=World)

    @classmethod
    def whole(cls, num_samples: int) -> RankSlice:
        """All rows on every rank."""
        return cls(num_samples, 0, num_samples)

    @classmethod
    def of(cls, num_samples: int, world: World) -> RankSlice:
        """The rows of a rank: contiguous, in the order of ranks, sizes that differ by one at most.

        >>> RankSlice.of(10, World())
        RankSlice(num_samples=10, begin=0, end=10, ranks=1)
        """
        begin, end = (num_samples * rank // world.size for rank in (world.rank, world.rank + 1))
        return cls(num_samples, begin, end, world)

    def __repr__(self) -> str:
        return f"RankSlice(num_samples={self.num_samples}, begin={self.begin}, end={self.end}, ranks={self.world.size})"

    @property
    def size(self) -> int:
        """How many rows are held here; may be none."""
        return self.end - self.begin

    @property
    def is_whole(self) -> bool:
        """Whether this rank holds all rows."""
        return self.world.size == 1

    def owner(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64, shape [M]: the rank that holds each id; the nearest one for ids out of range."""
        begins = self.num_samples * np.arange(1, self.world.size) // self.world.size
        return np.searchsorted(begins, ids, side="right")

    def rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64: which of the rows held here are among these ids, in the order of the ids."""
        return ids[(self.begin <= ids) & (ids < self.end)] - self.begin

    def counts(self, *values: int) -> NDArray[np.int64]:
        """int64, shape [ranks, len(values)]: every rank's numbers."""
        return np.stack(self.world.all_gather_same_size(np.array(values, dtype=np.int64)))

    def total(self, count: int) -> int:
        """The sum of every rank's number."""
        return int(self.counts(count).sum())

    def count(self, mask: NDArray[np.bool_]) -> int:
        """How many rows are marked, on all ranks."""
        return self.total(int(np.count_nonzero(mask)))

    def before_and_total(self, count: int) -> tuple[int, int]:
        """The sum of the numbers of the ranks before this one, and that of all."""
        counts = self.counts(count)[:, 0]
        return int(counts[: self.world.rank].sum()), int(counts.sum())

    def sums(self, *values: float) -> NDArray[np.float64]:
        """float64, shape [len(values)]: the sums of every rank's numbers, the same on each of them."""
        total: NDArray[np.float64] = np.stack(self.world.all_gather_same_size(np.array(values, dtype=np.float64))).sum(
            axis=0
        )
        return total

    def kth_smallest(self, keys: NDArray[np.float32], k: int) -> np.float32:
        """The k-th smallest of all ranks' keys, NaN last; see :mod:`emprune.distributed.topk`."""
        return self.world.kth_smallest(keys, k)

    def all_gather(self, values: NDArray[_T]) -> NDArray[_T]:
        """Every rank's values, concatenated in the order of ranks: for the few that every rank must know."""
        return np.concatenate(self.world.all_gather(values))

    def ask(
        self,
        owner: NDArray[np.int64],
        about: NDArray[np.int64],
        answer: Callable[[NDArray[np.int64]], NDArray[_T]],
    ) -> NDArray[_T]:
        """What other ranks answer, in the order of the questions; all ranks must call it.

        Args:
            owner: int64, shape [M]: the rank to ask.
            about: int64, shape [M]: the question.
            answer: this rank's answers to what it is asked, one for each.
        """
        places = places_by_rank(owner, self.world.size)
        asked = self.world.all_to_all([about[place] for place in places])
        answers = np.concatenate(self.world.all_to_all([answer(part) for part in asked]))
        found = np.empty_like(answers)
        found[np.concatenate(places)] = answers
        return found

    def finite_mean(self, values: NDArray[np.float32]) -> np.float32:
        """Mean of all ranks' finite values, summed in float64; 0 without any.

        The sum's last bit depends on how the rows are partitioned, the float32 that it is rounded to does not, unless
        the exact mean lies within some 10⁻¹⁵ of the middle between two of them.
        """
        with np.errstate(invalid="ignore"):
            total = values.sum(dtype=np.float64)
        if not np.isfinite(total):  # only then is a second pass needed: finite float32 never overflow the sum
            values = values[np.isfinite(values)]
            total = values.sum(dtype=np.float64)
        total, count = self.sums(total, len(values))
        return np.float32(total / count) if count else np.float32(0)

    def lowest(self, values: NDArray[np.float32]) -> np.float32:
        """The lowest of all ranks' finite values, where one is below zero; else 0."""
        low = np.fmin.reduce(values, initial=np.float32(0))
        if np.isinf(low):  # only then is a second pass needed
            low = np.fmin.reduce(values[np.isfinite(values)], initial=np.float32(0))
        return np.float32(np.stack(self.world.all_gather_same_size(np.array([low]))).min())

    def draw(
        self, rng: np.random.Generator, fill: Callable[[np.random.Generator, NDArray[np.float32]], object]
    ) -> NDArray[np.float32]:
        """float32, shape [rows]: a random number for each row, the same however the rows are cut.

        The first block comes from ``rng`` itself, on every rank, so that it stands at the same place on all of them
        afterwards; each later block has a generator of its own.

        Args:
            fill: writes the next numbers of a generator into an array.
        """
        drawn = np.empty(self.size, dtype=np.float32)
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
