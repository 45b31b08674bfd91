"""Of several ranks one writes, and what happens on one is raised on all. Ranks are threads here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases import step
from states import names
from thread_world import on_all_ranks

from emprune import IdBatches, Pruner, StateError
from emprune.checkpoint import restore, save
from emprune.distributed import World

SIZE = 3


def build(world: World) -> Pruner:
    return Pruner(60, "infobatch", prune_rate=0.5, num_epochs=3, seed=3, world=world)


def trained(world: World, steps: int) -> Pruner:
    """After so many steps, the first 5 of which are epoch 0."""
    pruner = build(world)
    for _ in pruner.epochs():
        for ids in IdBatches(pruner, 6 // world.size):
            if steps == 0:
                return pruner
            step(pruner, ids)
            steps -= 1
    return pruner


def rest(pruner: Pruner) -> list[list[int]]:
    """The global batches that are left."""
    batches = []
    for _ in pruner.epochs():
        for ids in IdBatches(pruner, 6 // pruner.world.size):
            step(pruner, ids)
            batches.append(np.concatenate(pruner.world.all_gather(ids.numpy())).tolist())
    return batches


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_file_of_three_ranks_is_loaded_by_any_number_on_the_same_global_batches(size: int, tmp_path: Path) -> None:
    path = tmp_path / "run.state"
    on_all_ranks(lambda world: save(trained(world, 7), path, batch_size=6 // world.size))
    assert names(tmp_path) == ["run.state"]

    def go_on(world: World) -> list[list[int]]:
        pruner = build(world)
        restore(pruner, path, batch_size=6 // world.size)
        return rest(pruner)

    uninterrupted = rest(build(World()))
    assert on_all_ranks(go_on, size) == [uninterrupted[7:]] * size


def test_what_one_rank_cannot_do_is_raised_on_all(tmp_path: Path) -> None:
    failed = on_all_ranks(lambda world: save(trained(world, 7), tmp_path / "missing" / "run.state"))
    assert [type(error) for error in failed] == [StateError] * SIZE
    assert all("cannot be saved to" in str(error) for error in failed)
    assert [str(error).startswith("rank 0: ") for error in failed] == [False, True, True]

    path = save(trained(World(), 7), tmp_path / "run.state")

    def one_does_not_see_it(world: World) -> None:
        restore(build(world), path if world.rank != 1 else tmp_path / "elsewhere")

    failed = on_all_ranks(one_does_not_see_it)
    assert [type(error) for error in failed] == [StateError] * SIZE
    assert all("elsewhere does not exist" in str(error) for error in failed)
    assert [str(error).startswith("rank 1: ") for error in failed] == [True, False, True]


def test_another_global_batch_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.state"
    on_all_ranks(lambda world: save(trained(world, 7), path, batch_size=2))
    failed = on_all_ranks(lambda world: restore(build(world), path, batch_size=2), size=2)
    assert all("batch_size is 4 here, but the state was saved with 6" in str(error) for error in failed)


def partitioned(world: World, steps: int) -> Pruner:
    pruner = Pruner(60, "infobatch", prune_rate=0.5, num_epochs=3, seed=3, world=world, partition_batch_size=2)
    for _ in pruner.epochs():
        for ids in IdBatches(pruner, 2):
            if steps == 0:
                return pruner
            step(pruner, ids)
            steps -= 1
    return pruner


def test_each_rank_of_a_partitioned_table_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "run.state"
    on_all_ranks(lambda world: save(partitioned(world, 7), path))
    assert names(tmp_path) == [f"run.state.rank-{rank}-of-3" for rank in range(3)]

    def go_on(world: World) -> list[list[int]]:
        pruner = partitioned(world, 0)
        restore(pruner, path)
        return rest(pruner)

    whole = on_all_ranks(lambda world: rest(partitioned(world, 7)))
    assert on_all_ranks(go_on) == whole
    assert all(isinstance(batches, list) and len(batches) == 8 for batches in whole)


def test_a_kill_between_the_saves_of_two_ranks(tmp_path: Path) -> None:
    """Rank 0 has saved step 7, the others have not: their last one is of step 6."""
    path = tmp_path / "run.state"
    on_all_ranks(lambda world: save(partitioned(world, 6), path))
    ahead = tmp_path / "ahead"
    on_all_ranks(lambda world: save(partitioned(world, 7), ahead))
    own = tmp_path / "run.state.rank-0-of-3"
    own.rename(tmp_path / "run.state.rank-0-of-3.previous")
    (tmp_path / "ahead.rank-0-of-3").rename(own)

    def go_on(world: World, fall_back: bool) -> list[list[int]]:
        pruner = partitioned(world, 0)
        restore(pruner, path, fall_back=fall_back)
        return rest(pruner)

    for error in on_all_ranks(lambda world: go_on(world, False)):
        assert isinstance(error, StateError)
        assert "rank 0 epoch 1 step 7, rank 1 epoch 1 step 6, rank 2 epoch 1 step 6" in str(error)
    assert on_all_ranks(lambda world: go_on(world, True)) == on_all_ranks(lambda world: rest(partitioned(world, 6)))


def test_another_number_of_ranks_cannot_take_over_a_partitioned_table(tmp_path: Path) -> None:
    path = tmp_path / "run.state"
    on_all_ranks(lambda world: save(partitioned(world, 7), path))
    for error in on_all_ranks(lambda world: restore(partitioned(world, 0), path), size=2):
        assert isinstance(error, StateError)
        assert "saved by 3 ranks with a part of the table each, here are 2 rank(s)" in str(error)
