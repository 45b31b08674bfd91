"""Even counts: turns follow what chances add up to, at exactly k an epoch, on any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.helpers.thread_world import on_all_ranks

from emprune import IdBatches, Policy, Pruner, Request, Selection
from emprune.policies.even_counts import CREDIT, balanced, chances

NONE = np.empty(0, dtype=np.int64)


class Even(Policy):
    """Chances in proportion to a score that never changes."""

    name = "even"
    columns = {CREDIT: 0.0}
    partitionable = True

    def __init__(self, scores: NDArray[np.float32]) -> None:
        self.scores = scores

    def select(self, request: Request) -> Selection:
        owned = request.table.owned
        chance = chances(request, self.scores[owned.begin : owned.end], 1.0, request.k)
        return balanced(request, chance, NONE, NONE)

    def settings(self) -> dict[str, object]:
        return {}


def run(pruner: Pruner, epochs: int) -> NDArray[np.int32]:
    """How often each sample was trained."""
    while pruner.epoch < epochs:
        for ids in IdBatches(pruner, 50):
            pruner.loss(ids, torch.ones(len(ids)))
        pruner.end_epoch()
    return pruner.table.times_trained


@pytest.mark.parametrize("rate", [0.5, 0.75, 0.9])
def test_of_equal_chances_every_sample_is_trained_once_before_any_is_trained_twice(rate: float) -> None:
    pruner = Pruner(200, Even(np.ones(200, dtype=np.float32)), prune_rate=rate, num_epochs=20)
    rounds = round(1 / (1 - rate))
    for epoch in range(1, 21):
        times = run(pruner, epoch)
        assert set(times) <= {epoch // rounds, -(-epoch // rounds)}


def test_counts_are_what_chances_add_up_to_but_for_less_than_two() -> None:
    scores = np.random.default_rng(0).gamma(0.5, size=1000).astype(np.float32) + 0.01
    pruner = Pruner(1000, Even(scores), prune_rate=0.7, num_epochs=40, seed=1)
    chance = chances(Request(pruner.table, 300, 0, 40, 1), scores, 1.0, 300)
    assert chance.sum() == pytest.approx(300, rel=0.01)
    away = run(pruner, 40) - 40 * chance
    assert np.abs(away).max() < 2
    # Independent draws would have a standard deviation of 2 here.
    assert away.std() < 0.5


def test_a_chance_is_the_probability_of_a_turn() -> None:
    scores = np.linspace(0.2, 3, 100, dtype=np.float32)
    taken = np.zeros((4, 100))
    for seed in range(400):
        pruner = Pruner(100, Even(scores), prune_rate=0.7, num_epochs=4, seed=seed)
        for epoch in range(4):
            taken[epoch, pruner.plan.ids] += 1
            run(pruner, epoch + 1)
    chance = chances(Request(pruner.table, 30, 0, 4, 0), scores, 1.0, 30)
    sd = np.sqrt(400 * chance * (1 - chance))
    assert (np.abs(taken - 400 * chance) / sd).max() < 4.5
    assert np.corrcoef(taken.sum(0), chance)[0, 1] > 0.99


def test_the_plan_and_the_credit_of_an_epoch_come_together() -> None:
    """A plan made twice, by a signal's handler in the middle of it, counts once."""
    pruner = Pruner(100, Even(np.ones(100, dtype=np.float32)), prune_rate=0.7, num_epochs=4)
    request = Request(pruner.table, 30, 0, 4, 0)
    pruner.policy.select(request)
    assert not pruner.table.extra[CREDIT].any()
    assert request.kept_columns[CREDIT].sum() == pytest.approx(0, abs=1e-4)
    pruner.plan  # noqa: B018
    assert (pruner.table.extra[CREDIT] == request.kept_columns[CREDIT]).all()


def test_a_restored_run_has_the_same_turns() -> None:
    def new() -> Pruner:
        return Pruner(100, Even(np.linspace(1, 2, 100, dtype=np.float32)), prune_rate=0.7, num_epochs=9)

    whole, begun, restored = new(), new(), new()
    run(begun, 4)
    begun.plan  # noqa: B018
    restored.load_state_dict(begun.state_dict())
    assert (run(restored, 9) == run(whole, 9)).all()
    assert (restored.table.extra[CREDIT] == whole.table.extra[CREDIT]).all()


def test_ranks_that_hold_a_partition_each_take_the_same_turns() -> None:
    scores = np.random.default_rng(3).gamma(0.5, size=1001).astype(np.float32)

    def plans(world: object) -> list[list[int]]:
        pruner = Pruner(
            1001, Even(scores), prune_rate=0.7, num_epochs=6, seed=2, world=world, partition_batch_size=world and 10
        )
        found = []
        for _ in pruner.epochs():
            step = list(IdBatches(pruner, 10))
            for ids in step:
                pruner.loss(ids, torch.ones(len(ids)))
            found.append(sorted(torch.cat(step).tolist()))
        return found

    for alone, *parts in zip(plans(None), *on_all_ranks(plans, 3), strict=True):
        assert sorted({id_ for part in parts for id_ in part}) == alone
