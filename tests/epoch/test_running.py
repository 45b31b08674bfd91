"""A running epoch by itself: what its steps are given and leave behind, without a pruner."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cases import loss_of, memory_of
from thread_world import on_all_ranks

from emprune import (
    ArgumentError,
    BatchRequest,
    BatchSelection,
    EpochOrderError,
    IdBatches,
    InBatchPolicy,
    NonFiniteError,
    Pruner,
)
from emprune.distributed import RankSlice, World
from emprune.epoch.plan import EpochPlan
from emprune.epoch.running import RunningEpoch
from emprune.errors import StateError
from emprune.policies import get_policy

N = 8
PLAN = EpochPlan(0, N, np.array([5, 2, 7, 0]), np.array([1, 2, 1, 0.5], dtype=np.float32))
ALL = EpochPlan(0, N, np.arange(N), np.ones(N, dtype=np.float32))


class TwoRanks(World):
    size = 2


class TopOfBatch(InBatchPolicy):
    """The highest losses of a batch."""

    def select_within_batch(self, request: BatchRequest) -> BatchSelection:
        return BatchSelection(torch.topk(request.loss, request.k).indices)


def epoch_of(plan: EpochPlan = PLAN, policy: Any = None, k: int = 4, **changed: Any) -> RunningEpoch:
    given = {"seed": 0, "on_nonfinite": "error", "world": World(), "owned": RankSlice.whole(N)}
    return RunningEpoch(plan, policy or get_policy("lfl"), k, **{**given, **changed})


def step(epoch: RunningEpoch, ids: list[int], loss: list[float]) -> BatchSelection:
    return epoch.select_batch(torch.tensor(ids), {"loss": torch.tensor(loss), "memory": None})


def test_a_step_has_the_weights_of_the_plan() -> None:
    chosen = step(epoch_of(), [7, 2, 0], [0.1, 0.2, 0.3])
    assert chosen.positions is None
    assert chosen.weights.tolist() == [1, 2, 0.5]


def test_what_steps_observed_is_there_until_it_is_applied() -> None:
    epoch = epoch_of()
    assert epoch.exchanged() is None
    step(epoch, [5, 2], [0.1, 0.2])
    epoch.observe(torch.tensor([1]), {"loss": torch.tensor([0.3]), "memory": None})
    assert (epoch.consumed, epoch.global_batch, epoch.unflushed_steps) == (2, 0, 1)
    found = epoch.exchanged()
    assert found.seen.ids.tolist() == [5, 2, 1]
    assert found.seen.trained.tolist() == found.seen.is_train_step.tolist() == [True, True, False]
    assert (found.samples, found.steps) == (3, 1)
    assert not epoch.consumed_rows.any()
    epoch.applied(found)
    assert np.flatnonzero(epoch.consumed_rows).tolist() == [2, 5]
    assert (epoch.unflushed_steps, epoch.exchanged()) == (0, None)


def test_consumed_samples_come_first_and_the_rest_keeps_its_order() -> None:
    epoch = epoch_of()
    step(epoch, [7], [0.1])
    epoch.applied(epoch.exchanged())
    plan, count = epoch.consumed_first()
    assert (plan.ids.tolist(), count) == ([7, 5, 2, 0], 1)


def test_a_restored_epoch_begins_behind_what_was_consumed() -> None:
    epoch = epoch_of(start=2, global_batch=2)
    assert epoch.rank_ids(3, drop_last=False).tolist() == [7, 0]
    epoch = epoch_of(start=2, global_batch=4, world=TwoRanks())
    assert np.flatnonzero(epoch.consumed_rows).tolist() == [2, 5]
    assert epoch.rank_ids(2, drop_last=False).tolist() == [7]
    message = r"the global batch is 6 here .* begun with 4\. Give the loader batch_size=2; or .*allow={.batch_size.}"
    with pytest.raises(StateError, match=message):
        epoch.rank_ids(3, drop_last=False)
    with pytest.raises(StateError, match=r"Start a number of ranks that divides 5"):
        epoch_of(start=2, global_batch=5, world=TwoRanks()).rank_ids(3, drop_last=False)


def test_the_shares_of_batches_add_up_to_k() -> None:
    epoch = epoch_of(ALL, TopOfBatch(), k=3)
    assert epoch.selects_in_batch
    taken = [
        step(epoch, ids, [float(i) for i in ids]).positions.tolist() for ids in ([0, 1, 2], [3, 4, 5], [6, 7])
    ]  # fmt: skip
    assert taken == [[2], [2], [1]]
    assert not epoch_of(ALL, TopOfBatch(), k=N).selects_in_batch


def test_a_fault_is_raised_in_the_step_and_nothing_is_recorded() -> None:
    epoch = epoch_of()
    for ids, loss, error in (
        ([5, 1], [0.1, 0.2], EpochOrderError),
        ([5, N], [0.1, 0.2], ArgumentError),
        ([5, 2], [0.1, torch.nan], NonFiniteError),
    ):
        with pytest.raises(error):
            step(epoch, ids, loss)
    assert (epoch.consumed, epoch.exchanged()) == (0, None)


def test_quarantined_values_are_marked() -> None:
    epoch = epoch_of(on_nonfinite="quarantine")
    step(epoch, [5, 2], [torch.inf, 0.2])
    found = epoch.exchanged()
    assert found.bad.tolist() == [True, False]
    np.testing.assert_array_equal(found.seen.loss, np.float32([np.nan, 0.2]))


def test_ranks_that_pass_batches_several_times_score_and_count_as_one_rank_does() -> None:
    def run(world: World) -> tuple[Any, ...]:
        pruner = Pruner(41, "emp", prune_rate=0.5, num_epochs=3, world=world)
        for _ in pruner.epochs():
            for ids in IdBatches(pruner, 12 // world.size):
                for shift in (0, 3):
                    pruner.loss(ids, loss_of(ids, pruner.epoch + shift), memory_of(ids))
        report = pruner.report()
        return pruner.table.loss.tolist(), pruner.table.times_trained.tolist(), report.samples_backward

    (alone,) = on_all_ranks(run, 1)
    assert alone[2] == 3 * 21
    for found in (*on_all_ranks(run, 2), *on_all_ranks(run, 3)):
        assert found == alone


def test_a_rank_that_observed_nothing_is_an_error_on_all() -> None:
    def run(world: World) -> str:
        pruner = Pruner(41, "emp", prune_rate=0.5, num_epochs=3, world=world)
        if world.rank != 1:
            for ids in IdBatches(pruner, 4):
                pruner.loss(ids, loss_of(ids), memory_of(ids))
        with pytest.raises(EpochOrderError) as caught:
            pruner.end_epoch()
        return str(caught.value)

    for message in on_all_ranks(run, 3):
        assert "none of its 21 samples was observed on rank(s) 1; call pruner.loss" in message


def test_a_second_round_is_an_error_on_every_rank() -> None:
    def run(world: World) -> int:
        pruner = Pruner(41, "emp", prune_rate=0.5, num_epochs=3, world=world, partition_batch_size=4)
        batches = IdBatches(pruner, 4)
        for ids in batches:
            pruner.loss(ids, loss_of(ids), memory_of(ids))
        ids = next(iter(batches))
        with pytest.raises(EpochOrderError, match="second round over the plan of epoch 0"):
            pruner.loss(ids, loss_of(ids), memory_of(ids))
        return pruner.report().steps

    assert on_all_ranks(run, 3) == [2] * 3
