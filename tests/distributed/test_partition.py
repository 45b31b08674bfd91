"""Rank arithmetic without processes: every sample once, as many batches on every rank, the same global batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emprune.distributed.partition import num_steps, rank_positions
from emprune.errors import ArgumentError

SIZES = st.tuples(st.integers(1, 200), st.integers(1, 9), st.integers(1, 9), st.booleans())


def parts(start: int, end: int, batch_size: int, world: int, drop_last: bool) -> list:
    return [rank_positions(start, end, batch_size, world, rank, drop_last=drop_last) for rank in range(world)]


def batches(part, batch_size: int) -> list[list[int]]:
    ids = part.positions.tolist()
    return [ids[i : i + batch_size] for i in range(0, len(ids), batch_size)]


@given(SIZES, st.data())
def test_every_sample_once_and_equal_batches_on_every_rank(sizes, data) -> None:
    end, batch_size, world, drop_last = sizes
    start = data.draw(st.integers(0, end))
    all_parts = parts(start, end, batch_size, world, drop_last)
    assert len({len(part.positions) for part in all_parts}) == 1
    per_rank = [batches(part, batch_size) for part in all_parts]
    expected = num_steps(end - start, batch_size, world, drop_last=drop_last)
    assert {len(rank_batches) for rank_batches in per_rank} == {expected}
    own = [p for part in all_parts for p in part.positions.tolist()[: len(part.positions) - part.padding]]
    pruned_ids = (end - start) % (batch_size * world) if drop_last else 0
    assert sorted(own) == list(range(start, end - pruned_ids))
    for part in all_parts:
        padded = part.positions[len(part.positions) - part.padding :]
        assert ((padded >= 0) & (padded < end)).all()
        assert part.padding < world or part.padding <= batch_size


@given(st.integers(1, 300), st.sampled_from([4, 8, 16]))
def test_global_batches_do_not_depend_on_the_number_of_ranks(end: int, whole: int) -> None:
    seen = []
    for world in (1, 2, 4):
        per_rank = [batches(part, whole // world) for part in parts(0, end, whole // world, world, False)]
        steps = [sorted({p for rank_batches in per_rank for p in rank_batches[s]}) for s in range(len(per_rank[0]))]
        seen.append(steps[: end // whole])
    assert seen[0] == seen[1] == seen[2]


@given(SIZES)
def test_positions_are_those_of_a_naive_loop(sizes) -> None:
    end, batch_size, world, drop_last = sizes
    expected: list[list[int]] = [[] for _ in range(world)]
    for begin in range(0, end, batch_size * world):
        chunk = list(range(begin, min(end, begin + batch_size * world)))
        if len(chunk) < batch_size * world:
            if drop_last:
                continue
            again = 0
            while len(chunk) % world:
                chunk.append(again % end)
                again += 1
        share = len(chunk) // world
        for rank in range(world):
            expected[rank] += chunk[rank * share : (rank + 1) * share]
    assert [part.positions.tolist() for part in parts(0, end, batch_size, world, drop_last)] == expected


def test_fewer_samples_than_ranks_are_repeated() -> None:
    found = parts(0, 3, 4, 8, False)
    assert [part.positions.tolist() for part in found] == [[0], [1], [2], [0], [1], [2], [0], [1]]
    assert [part.padding for part in found] == [0, 0, 0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 5, 2, 0, 0), "world_size is 0; allowed: an integer of at least 1"),
        ((0, 5, 2, 2, 2), "rank is 2; allowed: an integer from 0 to 1, below the world size"),
        ((0, 5, 0, 2, 0), "batch_size is 0"),
        ((6, 5, 2, 2, 0), "start is 6; allowed: an integer from 0 to 5"),
    ],
)
def test_numbers_out_of_range_are_named(arguments, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        rank_positions(*arguments)


def test_positions_are_int64() -> None:
    assert rank_positions(0, 5, 2, 2, 0).positions.dtype == np.int64
