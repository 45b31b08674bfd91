"""In-batch shares add up to k however batches come, and a batch that comes again has the same samples chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cases import inputs_of, step
from thread_world import on_all_ranks

from emprune import IdBatches, Pruner
from emprune.distributed import World
from emprune.epoch.batch_shares import BatchShares
from emprune.epoch.plan import EpochPlan

N, K, BATCH = 61, 25, 7
POLICIES = ["selective-backprop", "divbs", "repb"]


def build(policy: str, **options: Any) -> Pruner:
    return Pruner(N, policy, **{"prune_rate": 1 - K / N, "num_epochs": 3, "seed": 4, **options})


def plan_of(size: int = N) -> EpochPlan:
    return EpochPlan(0, size, np.random.default_rng(0).permutation(size), np.ones(size, dtype=np.float32))


def naive_share(places: list[int], k: int = K, size: int = N) -> int:
    return sum((p + 1) * k // size - p * k // size for p in places)


def test_shares_are_those_of_places_in_any_cut_and_order() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        shares, order, total = BatchShares(plan_of(), K, 0, World()), rng.permutation(N), 0
        for part in np.split(order, np.sort(rng.choice(N, 6, replace=False))):
            ids = torch.from_numpy(part)
            begin, share = shares.of(ids)
            seen = shares._seen
            assert share == naive_share(list(range(seen, seen + len(part))))
            assert begin == (seen if len(part) else 0)
            shares.keep(ids, ids, None)
            assert shares.of(ids.repeat(2))[1] == share  # two views of the same
            total += share
        assert total == K


def test_a_restored_epoch_counts_on_from_where_it_was() -> None:
    plan = plan_of()
    shares = BatchShares(plan, K, 20, World())
    assert shares.of(torch.from_numpy(plan.ids[20:30].copy())) == (20, naive_share(list(range(20, 30))))
    assert shares.of(torch.from_numpy(plan.ids[3:5].copy())) == (3, naive_share([3, 4]))


def twice(p: Pruner, ids: torch.Tensor) -> None:
    """As SAM's closures, whose second loss is another one."""
    chosen = p.select_batch(ids, **inputs_of(p, ids, p.epoch))
    again = p.select_batch(ids.clone(), **inputs_of(p, ids, p.epoch + 50))
    assert (chosen.positions is None) == (again.positions is None)
    if chosen.positions is not None:
        assert chosen.positions.tolist() == again.positions.tolist()


def many_times(p: Pruner, ids: torch.Tensor) -> None:
    for _ in range(20):
        step(p, ids)


def in_parts_twice(p: Pruner, ids: torch.Tensor) -> None:
    for part in (*ids.split(3), *ids.split(3)):
        step(p, part)


PASSES: list[Callable[[Pruner, torch.Tensor], None]] = [twice, many_times, in_parts_twice]


@pytest.mark.parametrize("passes", PASSES)
@pytest.mark.parametrize("policy", POLICIES)
def test_passes_over_a_batch_count_its_samples_once(policy: str, passes: Any) -> None:
    pruner = build(policy)
    for epoch in pruner.epochs():
        for ids in IdBatches(pruner, BATCH):
            passes(pruner, ids)
            if pruner.consumed == 28:
                pruner.state_dict()
        assert pruner.report().samples_backward == K * (epoch + 1)
        assert pruner.table.times_trained.sum() == K * (epoch + 1)
    assert pruner.report().realised_rate == pytest.approx(1 - K / N)


def test_several_ranks_meet_the_budget_with_passes_and_parts() -> None:
    def run(world: World) -> int:
        pruner = build("selective-backprop", world=world)
        for _ in pruner.epochs():
            for ids in IdBatches(pruner, 4):
                for part in (*ids.split(2), *ids.split(2)):
                    step(pruner, part)
        return pruner.report().samples_backward

    assert on_all_ranks(run, 3) == [3 * K] * 3


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("stop", [0, 1, 3])
def test_padding_has_no_share_where_ranks_go_on_in_mid_epoch(policy: str, stop: int) -> None:
    def run(world: World) -> int:
        first, second = (build(policy, prune_rate=0.3, world=world) for _ in range(2))
        for number, ids in enumerate(IdBatches(first, 4)):  # the last global batch is one sample and two of padding
            if number > stop:
                break
            step(first, ids)
        second.load_state_dict(first.state_dict())
        for ids in IdBatches(second, 4):
            step(second, ids)
        second.end_epoch()
        return int(second.table.times_trained.sum())

    assert on_all_ranks(run, 3) == [43] * 3


def test_a_choice_of_long_ago_is_forgotten() -> None:
    shares = BatchShares(plan_of(100), K, 0, World())
    batches = torch.arange(100).split(1)
    for ids in batches:
        shares.keep(ids, ids, "chosen")
    assert shares.chosen_before(batches[0], batches[0]) is None
    assert shares.chosen_before(batches[-1], batches[-1]) == "chosen"
    assert shares.chosen_before(batches[-1].repeat(2), batches[-1].repeat(2)) is None
