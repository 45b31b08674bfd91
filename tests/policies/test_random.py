"""Policies that look at no score: what changes from epoch to epoch, and what does not."""

from __future__ import annotations

import pytest
from cases import LOSS, chosen, play, table_of

from emprune import RS2, Pruner, Request, StaticRandom, get_policy
from emprune.epoch.plan import make_plan


def test_random_policies() -> None:
    subsets = [chosen(get_policy("random"), 3, epoch=epoch) for epoch in range(20)]
    assert len({frozenset(subset) for subset in subsets}) > 5
    assert len({frozenset(chosen(StaticRandom(), 3, epoch=epoch)) for epoch in range(20)}) == 1
    orders = [make_plan(StaticRandom(), Request(table_of(LOSS), 3, e, 10, 0)).ids.tolist() for e in range(20)]
    assert len({tuple(order) for order in orders}) > 3  # the subset is fixed, its order is not


@pytest.mark.parametrize("rate", [0.5, 0.7, 0.9])
def test_rs2_trains_every_sample_once_before_any_twice(rate: float) -> None:
    pruner = Pruner(31, RS2(), prune_rate=rate, num_epochs=25)
    for _ in play(pruner):
        pruner.report()  # moves the step's counts into the table
        counts = pruner.table.times_trained
        assert counts.max() - counts.min() <= 1 + (counts.max() > 1)
    assert counts.max() - counts.min() <= 1


def test_full_is_all_data_at_any_rate() -> None:
    pruner = Pruner(10, "full", prune_rate=0.9, num_epochs=2)
    assert [len(row[1]) for row in play(pruner, batch_size=10)] == [10, 10]
    assert pruner.report().realised_rate == 0
