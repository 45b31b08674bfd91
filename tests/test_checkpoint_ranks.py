"""Of several ranks one writes, and what happens on one is told on all. Ranks are threads here."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cases import step
from emprune import IdBatches, Pruner, StateError
from emprune.checkpoint import restore, save
from emprune.distributed import World
from states import names

SIZE = 3


class Together:
    """What the ranks of one group share."""

    def __init__(self, size: int) -> None:
        self.barrier, self.columns = threading.Barrier(size), [np.empty(0)] * size


class Thread(World):
    """A rank that is a thread; a collective that another rank does not reach fails after 20 seconds."""

    def __init__(self, together: Together, rank: int, size: int) -> None:
        self.together, self.rank, self.size = together, rank, size

    def gather(self, column: np.ndarray) -> list[np.ndarray]:
        self.together.columns[self.rank] = column
        self.together.barrier.wait(20)
        columns = list(self.together.columns)
        self.together.barrier.wait(20)
        return columns


def on_all_ranks(task: Any, size: int = SIZE) -> list[Any]:
    """What ``task(world)`` returns or raises on each rank."""
    together = Together(size)

    def run(rank: int) -> Any:
        try:
            return task(Thread(together, rank, size))
        except Exception as error:
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))


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
            batches.append(np.concatenate(pruner.world.gather(ids.numpy())).tolist())
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


def test_what_one_rank_cannot_do_is_told_on_all(tmp_path: Path) -> None:
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
