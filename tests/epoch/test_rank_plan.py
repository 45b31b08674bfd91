"""Plans of a partitioned table: put together they are the plan of one rank."""

from __future__ import annotations

import numpy as np
import pytest
from thread_world import on_all_ranks

from emprune import ArgumentError, Request, ScoreTable, get_policy
from emprune.distributed import RankSlice, World, rank_positions
from emprune.epoch.plan import Planner, make_plan
from emprune.epoch.rank_plan import PartitionedPlanner, RankPlan, planner_for

N, K, BATCH, RANKS = 53, 20, 3, 3
LOSS = np.random.default_rng(0).random(N, dtype=np.float32)


def request(owned: RankSlice) -> Request:
    table = ScoreTable(N, owned=owned)
    rows = np.arange(owned.size)
    table.record(rows, LOSS[owned.begin : owned.end], None, 0, np.ones(owned.size, dtype=bool))
    return Request(table, K, 1, 4, seed=7)


@pytest.mark.parametrize("policy", ["random", "lfl", "infobatch"])
def test_the_ranks_plans_together_are_that_of_one_rank(policy: str) -> None:
    whole = make_plan(get_policy(policy), request(RankSlice.whole(N)))

    def make(world: World) -> RankPlan:
        return PartitionedPlanner(BATCH).make(get_policy(policy), request(RankSlice.of(N, world)))

    plans = on_all_ranks(make, RANKS)
    for rank, plan in enumerate(plans):
        mine = rank_positions(0, K, BATCH, RANKS, rank)
        assert plan.ids.tolist() == whole.ids[mine.positions].tolist()
        assert plan.weights.tolist() == whole.weights[mine.positions].tolist()
        assert (plan.count, plan.padding) == (K, mine.padding)
    rows = np.concatenate([plan.row_weights for plan in plans])
    np.testing.assert_array_equal(rows, whole.weight_of)


def test_one_rank_holds_the_whole_table_whatever_it_asks_for() -> None:
    policy = get_policy("lfl")
    assert type(planner_for(policy, World(), None)) is type(planner_for(policy, World(), 4)) is Planner
    planner = on_all_ranks(lambda world: planner_for(policy, world, 4))[0]
    assert isinstance(planner, PartitionedPlanner)
    with pytest.raises(ArgumentError, match="batch_size is 5; allowed: 4, the pruner's partition_batch_size"):
        planner.check_batch_size(5)


def test_a_policy_that_needs_the_whole_table_is_refused() -> None:
    with pytest.raises(ArgumentError, match="policy is 'repb'; allowed: one that works on a partitioned table: full, "):
        planner_for(get_policy("repb"), World(), 4)
