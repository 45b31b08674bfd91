"""One process is a world of its own; ranks that disagree all raise the same error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch.distributed as dist
from thread_world import on_all_ranks

from emprune import IdBatches, Pruner
from emprune.distributed import ProcessGroup, World, check_agreement, current_world
from emprune.distributed.world import places_by_rank, raise_together
from emprune.errors import EmpruneError, RankError, StateError


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


@contextmanager
def group_of(size: int) -> Iterator[None]:
    """Inside, a default process group of this many ranks is running, whose collectives do nothing."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=size)
    try:
        yield
    finally:
        dist.destroy_process_group()


def new_pruner(world: World | None = None) -> Pruner:
    return Pruner(40, "random", prune_rate=0.5, num_epochs=2, world=world)


def test_a_pruner_built_before_the_process_group_is_refused_at_its_first_use() -> None:
    uses: list[Any] = [
        lambda pruner: list(IdBatches(pruner, 5)), lambda pruner: pruner.plan, lambda pruner: pruner.rank_ids(5),
        lambda pruner: next(pruner.epochs()) or pruner.plan,
    ]  # fmt: skip
    message = r"built for 1 rank\(s\), but the process group .* now has 2: .*after init_process_group"
    for use in uses:
        pruner = new_pruner()
        with group_of(2), pytest.raises(RankError, match=message):
            use(pruner)
    begun = new_pruner()
    assert begun.plan.epoch == 0  # looked at before the group was there
    with group_of(2), pytest.raises(RankError, match=message):
        list(IdBatches(begun, 5))


def test_a_world_that_is_given_or_a_group_that_is_gone_is_no_fault() -> None:
    pruner = new_pruner(World())
    with group_of(2):
        assert len(list(IdBatches(pruner, 5))) == 4
        group = ProcessGroup()
    assert len(list(IdBatches(pruner, 5))) == 4
    after = new_pruner(World())
    with group_of(1):
        assert len(list(IdBatches(new_pruner(), 5))) == 4
    assert group.size == 2
    assert after.plan.epoch == 0


def test_what_one_rank_raises_all_raise() -> None:
    def attempt(world: World) -> None:
        raise_together(world, EmpruneError("no such file") if world.rank == 1 else None)

    first, second, third = on_all_ranks(attempt)
    assert (type(second), str(second)) == (EmpruneError, "no such file")
    for error in (first, third):
        assert (type(error), str(error)) == (StateError, "rank 1: no such file")
    assert on_all_ranks(lambda world: raise_together(world, KeyError()) if world.rank else raise_together(world, None))
    assert on_all_ranks(lambda world: raise_together(world, None)) == [None] * 3


def test_places_by_rank_are_those_of_a_naive_loop() -> None:
    owner = np.random.default_rng(0).integers(0, 4, 50)
    found = places_by_rank(owner, 5)
    assert [part.tolist() for part in found] == [[i for i in range(50) if owner[i] == rank] for rank in range(5)]
