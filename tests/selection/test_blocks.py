"""A block-wise order: the same samples, shards one after another, every order within a group equally likely."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from cases import loss_of, memory_of
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from thread_world import on_all_ranks

from emprune import ArgumentError, Blocks, IdBatches, Pruner, StateError

N = 120
SIZES = [10, 30, 5, 25, 20, 30]


def build(order: Any = None, **options: Any) -> Pruner:
    return Pruner(N, "emp", **{"prune_rate": 0.5, "num_epochs": 3, "seed": 2, "order": order, **options})


def changes(shards: np.ndarray) -> int:
    return int((np.diff(shards) != 0).sum())


def play(pruner: Pruner, epochs: int = 3) -> list[list[int]]:
    batches = []
    while pruner.epoch < epochs:
        for ids in IdBatches(pruner, 12 // pruner.world.size):
            batches.append(ids.tolist())
            pruner.loss(ids, loss_of(ids, pruner.epoch), memory_of(ids, pruner.epoch))
        pruner.end_epoch()
    return batches


@given(
    sizes=st.one_of(st.integers(1, 40), st.lists(st.integers(1, 9), min_size=1, max_size=30)),
    at_once=st.integers(1, 9), seed=st.integers(0, 99), part=st.floats(0, 1),
)  # fmt: skip
def test_a_reader_of_so_many_shards_opens_each_once(sizes: Any, at_once: int, seed: int, part: float) -> None:
    total = sum(sizes) if isinstance(sizes, list) else 100
    blocks, rng = Blocks(sizes, at_once=at_once), np.random.default_rng(seed)
    ids = np.flatnonzero(rng.random(total) < part)
    ordered = ids[blocks.places(ids, total, rng)]
    assert sorted(ordered.tolist()) == ids.tolist()
    shards = blocks.shard_of(ordered).tolist()
    last = {shard: place for place, shard in enumerate(shards)}
    open_: set[int] = set()
    for place, shard in enumerate(shards):
        open_.add(shard)
        assert len(open_) <= at_once
        if last[shard] == place:
            open_.remove(shard)


@pytest.mark.parametrize("sizes", [SIZES, np.array(SIZES), torch.tensor(SIZES), 7])
def test_the_plan_has_the_same_samples(sizes: Any) -> None:
    plain, blocks = build(), build(Blocks(sizes, at_once=1))
    assert sorted(plain.plan.ids.tolist()) == sorted(blocks.plan.ids.tolist())
    shards = Blocks(sizes).shard_of(blocks.plan.ids)
    assert changes(shards) == len(set(shards.tolist())) - 1
    assert changes(Blocks(sizes).shard_of(plain.plan.ids)) > 30
    play(blocks)
    assert blocks.report().samples_backward == 180


def test_groups_of_shards_are_mixed_and_new_in_each_epoch() -> None:
    first, second = (build(Blocks(10, at_once=3), seed=seed).plan.ids // 10 for seed in (0, 1))
    groups = [set(first[i : i + 10].tolist()) for i in (0, 50)]
    assert all(len(group) <= 4 for group in groups)
    assert changes(first) > 15
    assert first.tolist() != second.tolist()
    pruner = build(Blocks(10, at_once=3))
    orders = [list(dict.fromkeys((pruner.plan.ids // 10).tolist()))]
    play(pruner, 1)
    orders.append(list(dict.fromkeys((pruner.plan.ids // 10).tolist())))
    assert orders[0] != orders[1]


def test_within_a_group_every_order_is_equally_likely() -> None:
    blocks, rng = Blocks(2, at_once=2), np.random.default_rng(0)
    ids = np.array([0, 2, 3])
    counts = Counter(tuple(blocks.places(ids, 4, rng).tolist()) for _ in range(3000))
    assert len(counts) == 6
    assert chisquare(list(counts.values())).pvalue > 1e-4


def test_ranks_and_resumed_runs_train_the_same_batches() -> None:
    expected = play(build(Blocks(SIZES, at_once=2)))
    ranks = on_all_ranks(lambda world: play(build(Blocks(SIZES, at_once=2), world=world)), size=2)
    assert [sorted(a + b) for a, b in zip(*ranks, strict=True)] == [sorted(batch) for batch in expected]
    begun = build(Blocks(SIZES, at_once=2))
    play(begun, 1)
    batches = iter(IdBatches(begun, 12))
    done = [next(batches).tolist(), next(batches).tolist()]
    for batch in done:
        ids = torch.tensor(batch)
        begun.loss(ids, loss_of(ids, 1), memory_of(ids, 1))
    resumed = build(Blocks(SIZES, at_once=2))
    resumed.load_state_dict(begun.state_dict())
    assert [*expected[:5], *done, *play(resumed)] == expected


def test_the_order_is_part_of_the_run() -> None:
    state = build(Blocks(SIZES)).state_dict()
    for other in (None, Blocks(20), Blocks(SIZES, at_once=3)):
        with pytest.raises(StateError, match="order is"):
            build(other).load_state_dict(state)
    changed = build(Blocks(20, at_once=1))
    changed.load_state_dict(state, allow={"order"})
    play(changed, 1)
    shards = changed.plan.ids // 20
    assert changes(shards) == len(set(shards.tolist())) - 1


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("blocks", r"order=emprune.Blocks\(samples_per_shard\)"),
        (Blocks([10, 20]), "30 samples in all.*allowed: of 120"),
    ],
)  # fmt: skip
def test_orders_that_do_not_fit(order: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        build(order)


@pytest.mark.parametrize(
    ("sizes", "at_once"), [(0, 1), ([], 1), ([1, 0], 1), ([1.5], 1), ("10", 1), (10, 0), (True, 1)]
)
def test_blocks_that_are_none(sizes: Any, at_once: int) -> None:
    with pytest.raises(ArgumentError, match=r"sizes|at_once"):
        Blocks(sizes, at_once)


def test_a_partitioned_plan_has_no_blocks() -> None:
    found = on_all_ranks(lambda world: build(Blocks(SIZES), world=world, partition_batch_size=4))
    assert all("Leave partition_batch_size out" in str(error) for error in found)
