"""A pruner that was built before there were other ranks joins them, and trains what one built among them does."""

from __future__ import annotations

from typing import Any

import pytest
from cases import loss_of, memory_of
from thread_world import on_all_ranks

from emprune import ArgumentError, IdBatches, Pruner
from emprune.errors import RankError

N = 40


def built(world: Any = None, seed: int = 0, **changed: Any) -> Pruner:
    return Pruner(N, "emp", prune_rate=0.6, num_epochs=4, seed=seed, world=world, **changed)


def trained(pruner: Pruner, steps: int, batch_size: int) -> list[list[int]]:
    """Batches of so many steps of the running epoch."""
    done = []
    for ids in list(IdBatches(pruner, batch_size))[:steps]:
        pruner.loss(ids, loss_of(ids, pruner.epoch), memory_of(ids, pruner.epoch))
        done.append(ids.tolist())
    return done


def test_before_the_first_step() -> None:
    def joined(world: Any) -> list[Any]:
        pruner = built()
        pruner.join(world)
        return run(pruner)

    def run(pruner: Pruner) -> list[Any]:
        return [trained(pruner, 9, 2) for _ in pruner.epochs()]

    assert on_all_ranks(joined, 2) == on_all_ranks(lambda world: run(built(world)), 2)


def test_in_mid_epoch() -> None:
    """What is left is dealt out: two steps of four samples, then steps of two on each rank."""
    alone = built()
    expected = trained(alone, 4, 4)

    def joined(world: Any) -> list[list[int]]:
        pruner = built()
        trained(pruner, 2, 4)
        pruner.join(world)
        return trained(pruner, 2, 2)

    first, second = on_all_ranks(joined, 2)
    assert [a + b for a, b in zip(first, second, strict=True)] == expected[2:]


def test_pruners_that_differ() -> None:
    for error in on_all_ranks(lambda world: built(seed=world.rank).join(world), 2):
        with pytest.raises(RankError, match="ranks disagree on seed: 0 on rank 0, 1 on rank 1"):
            raise error

    def elsewhere(world: Any) -> None:
        pruner = built()
        trained(pruner, world.rank, 4)
        pruner.join(world)

    for error in on_all_ranks(elsewhere, 2):
        with pytest.raises(RankError, match=r"ranks disagree on (start|consumed): 0 on rank 0, 4 on rank 1"):
            raise error


def test_a_partitioned_pruner_cannot() -> None:
    def of_rank(world: Any) -> None:
        built(world, partition_batch_size=2).join(world)

    for error in on_all_ranks(of_rank, 2):
        with pytest.raises(ArgumentError, match="None for a pruner that joins other ranks"):
            raise error


def test_alone_by_default() -> None:
    pruner = built()
    expected = trained(built(), 4, 4)
    assert trained(pruner, 1, 4) == expected[:1]
    pruner.join()
    assert pruner.world.size == 1
    assert trained(pruner, 9, 4) == expected[1:]
