"""One process is a world of its own; ranks that disagree all raise the same error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from thread_world import on_all_ranks

from emprune.distributed import World, check_agreement, current_world
from emprune.distributed.world import places_by_rank
from emprune.errors import RankError


def test_one_process_gets_back_what_it_gives() -> None:
    world, column = current_world(), np.arange(3)
    assert (world.rank, world.size) == (0, 1)
    for found in (world.all_gather(column), world.all_gather_same_size(column), world.all_to_all([column])):
        assert [part.tolist() for part in found] == [[0, 1, 2]]
    assert world.all_reduce(column).tolist() == [0, 1, 2]


@pytest.mark.parametrize("k", [1, 2, 5, 7])
def test_the_kth_smallest_of_one_process_is_numpys(k: int) -> None:
    keys = np.float32([3, -1, np.inf, 2, 2, -0.0, np.nan])
    assert np.array_equal(World().kth_smallest(keys, k), np.partition(keys, k - 1)[k - 1], equal_nan=True)


@pytest.mark.parametrize("odd_rank", [0, 1, 2])
def test_the_first_value_that_differs_is_named_on_every_rank(odd_rank: int) -> None:
    def check(world: World) -> None:
        check_agreement(world, {"seed": 0, "rate": 0.7 if world.rank == odd_rank else 0.5, "epochs": world.rank})

    errors: list[Any] = on_all_ranks(check)
    other = 1 if odd_rank == 0 else odd_rank
    first, second = (0.7, 0.5) if odd_rank == 0 else (0.5, 0.7)
    assert all(isinstance(error, RankError) for error in errors)
    assert {str(error).split(". ")[0] for error in errors} == {
        f"ranks disagree on rate: {first} on rank 0, {second} on rank {other}"
    }


def test_ranks_that_agree_go_on() -> None:
    assert on_all_ranks(lambda world: check_agreement(world, {"seed": 0})) == [None] * 3


def test_places_by_rank_are_those_of_a_naive_loop() -> None:
    owner = np.random.default_rng(0).integers(0, 4, 50)
    found = places_by_rank(owner, 5)
    assert [part.tolist() for part in found] == [[i for i in range(50) if owner[i] == rank] for rank in range(5)]
