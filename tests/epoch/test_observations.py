"""What a step reports is checked on arrival, and arrives in the table as a naive loop would put it there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cases import loss_of, memory_of
from hypothesis import given, settings
from hypothesis import strategies as st

from emprune import LFL, ArgumentError, EpochOrderError, NonFiniteError, Pruner
from emprune.epoch.observations import ObservationBuffer, Step


class Reader(LFL):
    """Needs the memory term, unlike EMP."""

    name = "reader"
    inputs = ("loss", "memory")


def fresh(policy: Any = "lfl", **options: Any) -> Pruner:
    """A pruner in its second epoch, with a batch of that already reported."""
    pruner = Pruner(12, policy, prune_rate=0.5, num_epochs=3, warmup_epochs=1, **options)
    ids = torch.arange(12)
    pruner.loss(ids, loss_of(ids), memory_of(ids))
    pruner.end_epoch()
    ids = torch.from_numpy(pruner.plan.ids[:2].copy())
    pruner.loss(ids, loss_of(ids), memory_of(ids))
    return pruner


def snapshot(pruner: Pruner) -> list[Any]:
    state = pruner.state_dict()
    return [(name, value.tolist() if isinstance(value, torch.Tensor) else value) for name, value in state.items()]


def good(pruner: Pruner) -> torch.Tensor:
    return torch.from_numpy(pruner.plan.ids[2:5].copy())


BAD_ARGUMENTS = {
    "scalar loss": (lambda ids: (ids, torch.tensor(0.5)), r"loss is 'a scalar'; allowed: .*reduction=\"none\""),
    "integer loss": (lambda ids: (ids, torch.ones(3).long()), "loss is torch.int64; allowed: a floating point"),
    "no tensor": (lambda ids: (ids, [0.1, 0.2, 0.3]), "loss is 'list'; allowed: a floating point tensor"),
    "another length": (lambda ids: (ids, torch.ones(4)), r"loss is 'of shape \(4,\)'; allowed: one value"),
    "a matrix": (lambda ids: (ids, torch.ones(3, 2)), r"loss is 'of shape \(3, 2\)'; allowed: one value for each of 3"),
    "memory": (lambda ids: (ids, torch.ones(3), torch.ones(2)), r"memory is 'of shape \(2,\)'; allowed: one value"),
    "too large id": (lambda ids: (ids + 100, torch.ones(3)), "ids is 1..; allowed: dataset positions from 0 to 11"),
    "negative id": (lambda ids: (ids - 12, torch.ones(3)), "ids is -[0-9]+; allowed: dataset positions from 0 to 11"),
    "float ids": (lambda ids: (ids.float(), torch.ones(3)), "ids is 'torch.float32 of shape .*'; allowed: an int64"),
    "int32 ids": (lambda ids: (ids.int(), torch.ones(3)), "ids is 'torch.int32 of shape .*'; allowed: an int64 tensor"),
    "a list of ids": (lambda ids: (ids.tolist(), torch.ones(3)), "ids is 'list'; allowed: an int64 tensor"),
    "ids of two axes": (lambda ids: (ids[None], torch.ones(3)), r"ids is 'torch.int64 of shape \(1, 3\)'; allowed"),
}


@pytest.mark.parametrize("method", ["loss", "observe", "select_batch"])
@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_arguments_are_named_and_change_nothing(name: str, method: str) -> None:
    pruner = fresh()
    arguments, message = BAD_ARGUMENTS[name]
    before = snapshot(pruner)
    with pytest.raises(ArgumentError, match=message):
        getattr(pruner, method)(*arguments(good(pruner)))
    assert snapshot(pruner) == before


def test_a_policy_that_ranks_by_memory_asks_for_it() -> None:
    pruner = fresh(Reader())
    before = snapshot(pruner)
    with pytest.raises(
        ArgumentError, match=r"memory is None; allowed: .*'reader' reads loss, memory\. .*\.scoring: classification"
    ):
        pruner.loss(good(pruner), torch.ones(3))
    assert snapshot(pruner) == before


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["loss", "memory"])
def test_nonfinite_values_name_the_ids_and_change_nothing(value: float, where: str) -> None:
    pruner = fresh("emp")
    before, ids = snapshot(pruner), good(pruner)
    values = {"loss": torch.ones(3), "memory": torch.ones(3)}
    values[where][1] = value
    with pytest.raises(NonFiniteError, match=rf"for 1 sample\(s\), ids {ids[1].item()}; .*on_nonfinite=\"quarantine\""):
        pruner.loss(ids, values["loss"], values["memory"])
    assert snapshot(pruner) == before


def test_a_memory_term_that_no_rule_reads_may_be_nan() -> None:
    pruner = fresh("lfl")
    pruner.loss(good(pruner), torch.ones(3), torch.full((3,), torch.nan))
    assert pruner.report().quarantined == 0


def test_many_nonfinite_ids_are_cut_short() -> None:
    pruner = Pruner(50, "random", prune_rate=0.0, num_epochs=1)
    with pytest.raises(NonFiniteError, match=r"for 20 .*ids 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …; allowed: finite"):
        pruner.loss(torch.arange(20), torch.full((20,), torch.nan))


def test_quarantine_keeps_a_sample_out_of_the_ranking_until_a_finite_loss_is_seen() -> None:
    pruner = Pruner(6, "lfl", prune_rate=0.5, num_epochs=5, warmup_epochs=1, on_nonfinite="quarantine")
    ids, values = torch.arange(6), torch.tensor([1.0, 2.0, 3.0, 4.0, torch.nan, torch.inf])
    assert pruner.loss(ids, values).item() == pytest.approx((1 + 2 + 3 + 4) / 6)
    pruner.end_epoch()
    assert (pruner.report().quarantined, pruner.report().quarantined_ids) == (2, (4, 5))
    assert set(pruner.plan.ids.tolist()) == {1, 2, 3}
    pruner.loss(torch.from_numpy(pruner.plan.ids.copy()), torch.full((3,), 0.5))
    pruner.observe(torch.tensor([4]), torch.tensor([9.0]))
    pruner.end_epoch()
    assert pruner.report().quarantined_ids == (5,)
    assert 4 in pruner.plan.ids
    assert 5 not in pruner.plan.ids


def test_a_memory_term_that_is_not_finite_is_quarantined_too() -> None:
    pruner = Pruner(4, "emp", prune_rate=0.5, num_epochs=2, warmup_epochs=1, on_nonfinite="quarantine")
    pruner.loss(torch.arange(4), torch.ones(4), torch.tensor([torch.inf, 0.5, torch.nan, 0.5]))
    pruner.end_epoch()
    assert pruner.report().quarantined_ids == (0, 2)
    assert set(pruner.plan.ids.tolist()) == {1, 3}


def test_ids_that_occur_again_in_a_batch_or_a_later_one_keep_the_last_score_and_count_once() -> None:
    pruner = Pruner(4, "random", prune_rate=0.0, num_epochs=1)
    pruner.loss(torch.tensor([2, 2, 0, 2]), torch.tensor([1.0, 2.0, 3.0, 4.0]))
    pruner.loss(torch.tensor([0]), torch.tensor([5.0]))
    pruner.end_epoch(partial=True)
    assert pruner.table.times_trained.tolist() == [1, 0, 1, 0]
    assert pruner.table.loss.tolist() == [5.0, np.inf, 4.0, np.inf]


def test_ids_outside_the_plan_are_an_epoch_out_of_order() -> None:
    pruner = fresh()
    foreign = sorted(set(range(12)) - set(pruner.plan.ids.tolist()))
    before = snapshot(pruner)
    with pytest.raises(EpochOrderError, match=rf"6 id\(s\) are not in the plan .* epoch 1, .* {foreign[0]};"):
        pruner.loss(torch.tensor(foreign), torch.ones(6))
    assert snapshot(pruner) == before
    pruner.observe(torch.tensor(foreign), torch.full((6,), 0.125))  # a look at other samples is welcome
    pruner.end_epoch(partial=True)
    assert pruner.table.loss[foreign].tolist() == [0.125] * 6
    assert pruner.table.times_trained[foreign].tolist() == [1] * 6


@pytest.mark.parametrize("epoch", [0, 2])
def test_an_observation_of_another_epoch_is_refused(epoch: int) -> None:
    pruner = fresh()
    before = snapshot(pruner)
    with pytest.raises(EpochOrderError, match=f"epoch is {epoch}; allowed: the running epoch, 1"):
        pruner.observe(good(pruner), torch.ones(3), epoch=epoch)
    assert snapshot(pruner) == before
    pruner.observe(good(pruner), torch.ones(3), epoch=1)


def test_reported_values_are_copies() -> None:
    pruner = Pruner(3, "emp", prune_rate=0.0, num_epochs=1)
    ids, loss, memory = torch.arange(3), torch.ones(3), torch.full((3,), 0.5)
    pruner.loss(ids, loss, memory)
    for tensor in (ids, loss, memory):
        tensor.zero_()
    pruner.end_epoch()
    assert (pruner.table.loss.tolist(), pruner.table.memory.tolist()) == ([1.0] * 3, [0.5] * 3)


BATCHES = st.lists(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 99)), min_size=1, max_size=6), max_size=6)


@settings(max_examples=200)
@given(BATCHES)
def test_collect_marks_repetitions_inside_a_batch_as_a_naive_loop_does(batches: list[list[tuple[int, int]]]) -> None:
    buffer, rows = ObservationBuffer(), []
    for batch in batches:
        ids, loss = (torch.tensor(column) for column in zip(*batch, strict=True))
        buffer.add(Step.of(ids, {"loss": loss.float()}), True, is_train_step=True)
        rows += [(i, float(value), i not in [j for j, _ in batch[:at]]) for at, (i, value) in enumerate(batch)]
    seen = buffer.collect()
    assert list(zip(seen.ids.tolist(), seen.loss.tolist(), seen.trained.tolist(), strict=True)) == rows
    assert np.isnan(seen.memory).all()


def test_the_buffer_is_empty_after_clear() -> None:
    buffer = ObservationBuffer()
    buffer.add(Step.of(torch.tensor([8]), {"loss": torch.ones(1)}), False, is_train_step=False)
    assert (len(buffer), buffer.collect().is_train_step.tolist()) == (1, [False])
    buffer.clear()
    assert len(buffer.collect().ids) == 0
