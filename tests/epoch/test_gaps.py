"""A loader that is dealt out among the ranks once more, or skips once more, is found when the epoch ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from cases import step
from thread_world import on_all_ranks
from torch.utils.data import BatchSampler, DistributedSampler

from emprune import EpochOrderError, IdBatches, PlanSampler, Pruner
from emprune.distributed import World
from emprune.epoch.gaps import dealt_twice, skipped_twice

N, BATCH, RANKS = 288, 6, 3
pytestmark = pytest.mark.filterwarnings(r"ignore:epoch \d+ ended with")


def build(world: World | None = None, partitioned: bool = False) -> Pruner:
    size = BATCH if partitioned else None
    return Pruner(N, "infobatch", prune_rate=0.5, num_epochs=3, seed=1, world=world, partition_batch_size=size)


def batches_of(pruner: Pruner) -> BatchSampler:
    return BatchSampler(PlanSampler(pruner, BATCH), BATCH, drop_last=False)


def once(pruner: Pruner, rank: int) -> Iterable[list[int]]:
    return batches_of(pruner)


def by_batches(pruner: Pruner, rank: int) -> Iterable[list[int]]:
    return BatchSamplerShard(batches_of(pruner), RANKS, rank)


def by_parts_of_batches(pruner: Pruner, rank: int) -> Iterable[list[int]]:
    return BatchSamplerShard(batches_of(pruner), RANKS, rank, split_batches=True)


def by_samples(pruner: Pruner, rank: int) -> Iterable[list[int]]:
    ids = list(PlanSampler(pruner, BATCH))
    return BatchSampler(
        [ids[i] for i in DistributedSampler(ids, RANKS, rank, shuffle=False)], BATCH, drop_last=False
    )  # fmt: skip


def left_early(pruner: Pruner, rank: int) -> Iterator[list[int]]:
    return (ids for ids, _ in zip(batches_of(pruner), range(2), strict=False))


def some_skipped(pruner: Pruner, rank: int) -> Iterator[list[int]]:
    return (ids for number, ids in enumerate(batches_of(pruner)) if number != 1)


def ended(world: World, loader: Any, partitioned: bool) -> int:
    pruner = build(world, partitioned)
    for ids in loader(pruner, world.rank):
        step(pruner, torch.tensor(ids))
    pruner.end_epoch()
    return pruner.epoch


@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize("loader", [by_batches, by_parts_of_batches, by_samples])
def test_dealt_out_twice(loader: Any, partitioned: bool) -> None:
    errors = on_all_ranks(lambda world: ended(world, loader, partitioned), RANKS)
    for error in errors:
        assert isinstance(error, EpochOrderError), error
        assert "only about one in 3 samples of its plan was trained" in str(error)
        assert "prepare_loader instead of accelerator.prepare" in str(error)


@pytest.mark.parametrize("partitioned", [False, True])
def test_dealt_out_twice_after_a_restart(partitioned: bool) -> None:
    def restarted(world: World) -> int:
        pruner, again = build(world, partitioned), build(world, partitioned)
        for ids, _ in zip(IdBatches(pruner, BATCH), range(4), strict=False):
            step(pruner, ids)
        again.load_state_dict(pruner.state_dict())
        for batch in by_batches(again, world.rank):
            step(again, torch.tensor(batch))
        again.end_epoch()
        return again.epoch

    for error in on_all_ranks(restarted, RANKS):
        assert isinstance(error, EpochOrderError), error
        assert "only about one in 3" in str(error)


@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize("loader", [once, left_early, some_skipped])
def test_what_is_dealt_out_once_ends(loader: Any, partitioned: bool) -> None:
    assert on_all_ranks(lambda world: ended(world, loader, partitioned), RANKS) == [1] * RANKS


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("skip", [1, 2])
def test_skipped_twice(skip: int, ranks: int) -> None:
    def resumed(world: World) -> tuple[str, bool]:
        first, second, third = build(world), build(world), build(world)
        batches = list(IdBatches(first, BATCH))
        for ids in batches[:2]:
            step(first, ids)
        state = first.state_dict()
        for pruner in (second, third):
            pruner.load_state_dict(state)
        for ids in list(IdBatches(second, BATCH))[skip:]:
            step(second, ids)
        with pytest.raises(EpochOrderError) as caught:
            second.end_epoch()
        for ids in list(IdBatches(third, BATCH))[:-1]:  # the last one missing is no such fault
            step(third, ids)
        third.end_epoch()
        return str(caught.value), second.epoch == 0

    for message, stays in on_all_ranks(resumed, ranks):
        assert f"but {skip * BATCH * ranks} samples were never trained, the first ones after" in message
        assert "skip_first_batches" in message
        assert stays


@pytest.mark.parametrize("size", [5, 24, 97])
def test_no_head_of_a_plan_is_taken_for_either(size: int) -> None:
    for trained in range(1, size + 1):
        done = np.arange(size) < trained
        for ranks in (1, 2, 4):
            assert not dealt_twice(done, ranks, 4)
        for start in range(trained):
            assert skipped_twice(done, start) == 0


@pytest.mark.parametrize("ranks", [2, 4])
def test_a_step_of_ones_own_choice_is_no_dealing(ranks: int) -> None:
    for seed in range(20):
        done = np.random.default_rng(seed).permutation(103) < 6
        assert not dealt_twice(done, ranks, 6 * ranks)


@pytest.mark.parametrize("ranks", [2, 3, 8])
@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_every_dealing_is_found(ranks: int, steps: int) -> None:
    """Batch s of rank r, in the plan's order, is trained where s % ranks == r."""
    steps *= ranks
    mine = np.arange(steps)[:, None] % ranks == np.arange(ranks)
    assert dealt_twice(np.repeat(mine.reshape(-1), 4), ranks, 4 * ranks)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize("stop", [0, 1, 2])
def test_a_last_batch_that_is_dropped_is_no_gap(stop: int, partitioned: bool) -> None:
    """23 samples on 2 ranks: two global batches of 8, and 7 left, which a partitioned plan pads."""

    def run(world: World) -> tuple[int, int]:
        pruner, restored = (
            Pruner(23, "lfl", prune_rate=0, num_epochs=1, world=world, partition_batch_size=4 if partitioned else None)
            for _ in range(2)
        )
        for ids in list(IdBatches(pruner, 4, drop_last=True))[:stop]:
            step(pruner, ids)
        if stop:
            restored.load_state_dict(pruner.state_dict())
        for ids in IdBatches(restored, 4, drop_last=True):
            step(restored, ids)
        restored.end_epoch()
        return restored.epoch, restored.report().samples_backward

    assert on_all_ranks(run, 2) == [(1, 16)] * 2
