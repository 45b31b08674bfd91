"""What a policy is asked and may answer: policies as user code writes them, static, by epoch and in-batch."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from cases import loss_of, play

from emprune import (
    BatchRequest,
    BatchSelection,
    EmpruneError,
    IdBatches,
    InBatchPolicy,
    Policy,
    Pruner,
    Request,
    ScoreTable,
    Selection,
    StateError,
)
from emprune.table import Observations


class HardestOnce(Policy):
    """Static: scores from an earlier run decide once, the subset stays."""

    name = "hardest-once"

    def __init__(self, scores: list[float]) -> None:
        self.scores = scores

    def select(self, request: Request) -> Selection:
        return Selection(np.argsort(self.scores)[-request.k :])


class TopOfBatch(InBatchPolicy):
    """In-batch: all are forwarded, the highest losses go through backward."""

    name = "top-of-batch"

    def select_within_batch(self, request: BatchRequest) -> BatchSelection:
        return BatchSelection(torch.topk(request.loss, request.k).indices)


class RandomOfBatch(TopOfBatch):
    """In-batch with weights, from the generator that the pruner gives."""

    name = "random-of-batch"

    def select_within_batch(self, request: BatchRequest) -> BatchSelection:
        batch_size, k = len(request.loss), request.k
        positions = request.rng.choice(batch_size, k, replace=False)
        return BatchSelection(torch.from_numpy(positions), torch.full((k,), batch_size / max(1, k)))


def test_a_static_policy_keeps_its_subset_in_another_order_each_epoch() -> None:
    scores = [float(i % 10) for i in range(30)]
    pruner = Pruner(30, HardestOnce(scores), prune_rate=0.7, num_epochs=4)
    epochs: dict[int, list[int]] = {}
    for epoch, ids, _ in play(pruner):
        epochs.setdefault(epoch, []).extend(ids)
    assert {frozenset(ids) for ids in epochs.values()} == {frozenset(i for i in range(30) if i % 10 >= 7)}
    assert len({tuple(ids) for ids in epochs.values()}) == 4
    assert set(pruner.table.times_trained.tolist()) == {0, 4}


def test_settings_of_an_own_policy_belong_to_the_state() -> None:
    def build(scores: list[float]) -> Pruner:
        return Pruner(3, HardestOnce(scores), prune_rate=0.4, num_epochs=2)

    state = build([1.0, 2.0, 3.0]).state_dict()
    build([1.0, 2.0, 3.0]).load_state_dict(state)
    with pytest.raises(EmpruneError, match=r"policy_settings is .*4\.0.* saved with .*3\.0"):
        build([1.0, 2.0, 4.0]).load_state_dict(state)


def test_arrays_among_the_settings_are_compared_by_content() -> None:
    def build(scores: np.ndarray | torch.Tensor) -> Pruner:
        return Pruner(3, HardestOnce(scores), prune_rate=0.4, num_epochs=2)

    state = build(np.array([1.0, 2.0, 3.0])).state_dict()
    json.dumps(state["fingerprint"])
    build(np.array([1.0, 2.0, 3.0])).load_state_dict(state)
    build(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)).load_state_dict(state)
    with pytest.raises(StateError, match=r"policy_settings is .*float64 \[3\]"):
        build(np.array([1.0, 2.0, 4.0])).load_state_dict(state)


@pytest.mark.parametrize("batch_size", [1, 7, 8, 64])
@pytest.mark.parametrize("policy", [TopOfBatch, RandomOfBatch])
def test_an_in_batch_policy_trains_exactly_k_an_epoch(policy: type[Policy], batch_size: int) -> None:
    pruner = Pruner(53, policy(), prune_rate=0.7, num_epochs=3, warmup_epochs=1)
    trained = 0
    for epoch in pruner.epochs():
        for ids in IdBatches(pruner, batch_size):
            pruner.loss(ids, loss_of(ids, epoch))
        now = pruner.report().samples_backward
        assert now - trained == pruner.kept[epoch] == (53 if epoch == 0 else 16)
        trained = now
        everyone = torch.arange(53)
        assert pruner.table.loss.tolist() == loss_of(everyone, epoch).tolist()  # scores of all, trained or not
    assert pruner.report().samples_forward == 3 * 53
    assert pruner.report().realised_rate == pytest.approx(1 - (53 + 16 + 16) / (3 * 53))
    assert pruner.total_steps(batch_size) == pruner.report().steps


def test_only_the_chosen_samples_are_counted_and_carry_gradient() -> None:
    pruner = Pruner(8, TopOfBatch(), prune_rate=0.5, num_epochs=1)
    ids = torch.tensor([3, 0, 6, 1])
    loss = torch.tensor([0.3, 0.9, 0.1, 0.7], requires_grad=True)
    total = pruner.loss(ids, loss)
    assert total.item() == pytest.approx((0.9 + 0.7) / 2)
    total.backward()
    assert loss.grad.tolist() == [0, 0.5, 0, 0.5]
    assert pruner.report().samples_backward == 2
    assert pruner.table.times_trained.tolist() == [1, 1, 0, 0, 0, 0, 0, 0]


def test_a_batch_whose_share_is_none_trains_nothing() -> None:
    pruner = Pruner(10, TopOfBatch(), prune_rate=0.9, num_epochs=1)
    loss = torch.tensor([0.5, 0.25], requires_grad=True)
    pruner.loss(torch.tensor([4, 5]), loss).backward()
    assert loss.grad.tolist() == [0, 0]
    assert pruner.report().samples_backward == 0


def test_a_second_forward_on_the_chosen_part_alone() -> None:
    data = torch.arange(12.0)
    weight = torch.tensor(2.0, requires_grad=True)
    pruner = Pruner(12, TopOfBatch(), prune_rate=0.75, num_epochs=1)
    touched = 0
    for ids in IdBatches(pruner, 4):
        with torch.no_grad():
            looked = (weight * data[ids]).abs()
        chosen = pruner.select_batch(ids, looked)
        assert chosen.weights is None
        part = data[ids][chosen.positions]
        assert part.tolist() == [data[ids].max().item()]
        (weight * part).mean().backward()
        touched += len(part)
    assert touched == pruner.report().samples_backward == 3
    assert weight.grad is not None


def test_in_batch_weights_are_the_policys() -> None:
    pruner = Pruner(8, RandomOfBatch(), prune_rate=0.5, num_epochs=1)
    assert pruner.loss(torch.arange(4), torch.ones(4)).item() == pytest.approx(2.0)


def test_an_in_batch_run_goes_on_from_its_state() -> None:
    def build() -> Pruner:
        return Pruner(53, RandomOfBatch(), prune_rate=0.4, num_epochs=3, seed=2)

    whole, first, second = build(), build(), build()
    list(play(whole))
    run = play(first)
    for _ in range(11):
        next(run)
    second.load_state_dict(first.state_dict())
    list(play(second))
    assert second.table.times_trained.tolist() == whole.table.times_trained.tolist()


FAULTS: dict[str, tuple[Any, str]] = {
    "no selection": (torch.tensor([0, 1]), "Tensor; asked for a BatchSelection"),
    "too few": (BatchSelection(torch.tensor([0])), r"positions torch.int64 of shape \(1,\); asked for int64 .* \[2\]"),
    "none": (BatchSelection(), r"positions None; asked for int64 of shape \[2\]"),
    "floats": (BatchSelection(torch.tensor([0.0, 1.0])), "positions torch.float32"),
    "outside": (BatchSelection(torch.tensor([0, 4])), r"positions \[0, 4\]; allowed: 0 to 3"),
    "negative": (BatchSelection(torch.tensor([0, -1])), r"positions \[0, -1\]; allowed: 0 to 3"),
    "repeated": (BatchSelection(torch.tensor([1, 1])), r"repeated positions \[1, 1\]"),
    "weights": (BatchSelection(torch.tensor([0, 1]), torch.ones(4)), r"weights of shape \(4,\); asked for \[2\]"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_an_in_batch_policy_that_breaks_the_contract_is_named_and_nothing_is_recorded(name: str) -> None:
    answer, message = FAULTS[name]

    class Wrong(TopOfBatch):
        name: ClassVar[str] = "wrong"

        def select_within_batch(self, *_: Any) -> BatchSelection:
            return answer

    pruner = Pruner(8, Wrong(), prune_rate=0.5, num_epochs=1)
    with pytest.raises(EmpruneError, match=f"policy 'wrong' chose {message}.*Fix its select_within_batch"):
        pruner.loss(torch.arange(4), torch.ones(4))
    report = pruner.report()
    assert (report.steps, report.samples_forward, report.samples_backward, report.epochs) == (0, 0, 0, 0)
    assert pruner.table.unseen.all()


def test_an_in_batch_policy_without_its_method_says_what_is_missing() -> None:
    class Empty(InBatchPolicy):
        pass

    with pytest.raises(NotImplementedError, match="Empty must override select_within_batch"):
        Pruner(8, Empty(), prune_rate=0.5, num_epochs=1).loss(torch.arange(4), torch.ones(4))


class Smoothed(Policy):
    """Keeps a column of its own: a running mean of each sample's loss, and selects by it."""

    name = "smoothed"
    columns: ClassVar[dict[str, float]] = {"mean_loss": -1.0}

    def update(self, table: ScoreTable, seen: Observations) -> None:
        column = table.column("mean_loss")
        old = column[seen.ids]
        column[seen.ids] = np.where(old < 0, seen.loss, 0.5 * old + 0.5 * seen.loss)

    def select(self, request: Request) -> Selection:
        return Selection(np.argsort(request.table.extra["mean_loss"], kind="stable")[: request.k])


def test_a_policy_keeps_columns_of_its_own_and_they_are_saved() -> None:
    expected = np.full(20, -1.0, dtype=np.float32)
    pruner = Pruner(20, Smoothed(), prune_rate=0.5, num_epochs=4)
    for epoch, ids, _ in play(pruner, batch_size=4):
        if epoch == 2:  # a state taken in mid-epoch, whose table another pruner takes over
            other = Pruner(20, Smoothed(), prune_rate=0.5, num_epochs=4)
            other.load_state_dict(pruner.state_dict())
            assert other.table.extra["mean_loss"].tolist() == pruner.table.extra["mean_loss"].tolist()
        for i, loss in zip(ids, loss_of(torch.tensor(ids), epoch).tolist(), strict=True):
            expected[i] = loss if expected[i] < 0 else 0.5 * expected[i] + 0.5 * loss
    assert pruner.table.extra["mean_loss"].tolist() == pytest.approx(expected.tolist())
    assert pruner.table.nbytes == 20 * 20


def test_update_sees_finite_values_only_and_the_last_of_each_sample() -> None:
    pruner = Pruner(4, Smoothed(), prune_rate=0.0, num_epochs=2, on_nonfinite="quarantine")
    pruner.loss(torch.tensor([0, 1, 2]), torch.tensor([1.0, torch.nan, 3.0]))
    pruner.loss(torch.tensor([3, 2]), torch.tensor([4.0, 5.0]))
    pruner.end_epoch()
    assert pruner.table.extra["mean_loss"].tolist() == [1, -1, 5, 4]


def test_a_column_cannot_take_the_name_of_one_of_the_tables_or_be_written_through_it() -> None:
    class Clash(Smoothed):
        columns: ClassVar[dict[str, float]] = {"loss": 0.0}

    with pytest.raises(EmpruneError, match=r"columns .*loss"):
        Pruner(4, Clash(), prune_rate=0.5, num_epochs=1)
    table = Pruner(4, Smoothed(), prune_rate=0.5, num_epochs=1).table
    with pytest.raises(KeyError, match="written by the pruner alone"):
        table.column("loss")
    with pytest.raises(ValueError, match="read-only"):
        table.extra["mean_loss"][0] = 1


class ByFeature(InBatchPolicy):
    """In-batch by a feature that the training loop hands over."""

    name = "by-feature"
    inputs = ("loss", "features")

    def select_within_batch(self, request: BatchRequest) -> BatchSelection:
        features = request.inputs["features"]
        assert not features.requires_grad
        return BatchSelection(torch.topk(features[:, 0], request.k).indices)


def test_features_reach_an_in_batch_policy_and_are_asked_for() -> None:
    pruner = Pruner(8, ByFeature(), prune_rate=0.5, num_epochs=1)
    loss = torch.tensor([1.0, 2.0, 3.0, 4.0])
    features = torch.tensor([[0.4], [0.1], [0.3], [0.2]], requires_grad=True)
    chosen = pruner.select_batch(torch.arange(4), loss, features=features)
    assert sorted(chosen.positions.tolist()) == [0, 2]
    for wrong in (None, torch.ones(3, 2), torch.tensor(1.0), torch.ones(4, 1, dtype=torch.int64), [[1.0]] * 4):
        with pytest.raises(EmpruneError, match=r"features.*allowed: .*\[4, \.\.\.\].*by-feature.*emprune.Capture"):
            pruner.loss(torch.arange(4, 8), loss, features=wrong)


def test_pruned_ids_are_the_complement_of_the_plan() -> None:
    pruner = Pruner(10, "random", prune_rate=0.7, num_epochs=1)
    pruned_ids = pruner.plan.pruned_ids
    assert pruned_ids.dtype == np.int64
    assert sorted([*pruned_ids.tolist(), *pruner.plan.ids.tolist()]) == list(range(10))
    assert pruner.learning_rate_factor == 1.0


class LeastSure(Policy):
    """Reads a value of its own name, keeps it in a column, and selects by it."""

    name = "least-sure"
    inputs = ("loss", "doubt")
    columns: ClassVar[dict[str, float]] = {"doubt": 0.0}

    def update(self, table: ScoreTable, seen: Observations) -> None:
        table.column("doubt")[seen.ids] = seen.extra["doubt"]

    def select(self, request: Request) -> Selection:
        return request.top(request.table.extra["doubt"])


def test_a_policy_reads_a_value_by_a_name_of_its_own() -> None:
    pruner = Pruner(6, LeastSure(), prune_rate=0.5, num_epochs=3, warmup_epochs=1, on_nonfinite="quarantine")
    ids, loss = torch.arange(6), torch.ones(6)
    with pytest.raises(EmpruneError, match=r"doubt is None; allowed: .*'least-sure' reads loss, doubt"):
        pruner.loss(ids, loss)
    with pytest.raises(EmpruneError, match=r"doubt is 'of shape \(5,\)'"):
        pruner.loss(ids, loss, doubt=torch.ones(5))
    pruner.loss(ids, loss, doubt=torch.tensor([1.0, 5.0, 2.0, torch.nan, 4.0, 6.0]))
    pruner.end_epoch()
    assert set(pruner.plan.ids.tolist()) == {1, 4, 5}
    assert pruner.table.quarantined.tolist() == [3]
    assert pruner.table.extra["doubt"].tolist() == [1, 5, 2, 0, 4, 6]


def test_a_value_that_the_policy_does_not_read_is_refused() -> None:
    pruner = Pruner(4, "emp", prune_rate=0.0, num_epochs=1)
    with pytest.raises(EmpruneError, match="doubt is 'given'; allowed: what policy 'emp' reads, loss, memory"):
        pruner.loss(torch.arange(4), torch.ones(4), torch.ones(4), doubt=torch.ones(4))


@pytest.mark.parametrize("names", [None, "loss", ("loss", 1), ("loss", "ids"), ("loss", "step"), ("loss", "epoch")])
def test_names_that_no_step_can_give_are_refused_before_training(names: Any) -> None:
    class Clash(LeastSure):
        inputs = names

    with pytest.raises(
        EmpruneError, match=r"inputs is .*; allowed: a tuple of names other than ids, epoch, .*least-sure"
    ):
        Pruner(4, Clash(), prune_rate=0.5, num_epochs=1)


class Plain(Policy):
    """Overrides nothing but its settings."""

    def __init__(self, share: float = 0.5) -> None:
        self.share = share


def test_a_policy_reads_losses_and_keeps_exactly_k_unless_it_says_otherwise() -> None:
    policy = Plain()
    assert (policy.inputs, policy.columns) == (("loss",), {})
    assert not policy.observes_pruned
    assert not policy.partitionable
    assert (policy.epoch_size(10, 4), policy.learning_rate_factor(4, 10)) == (4, 1.0)
    assert (policy.settings(), repr(policy)) == ({"share": 0.5}, "Plain(share=0.5)")
    with pytest.raises(NotImplementedError, match="Plain must override select, or subclass InBatchPolicy"):
        policy.select(Request(ScoreTable(10), 4, 0, 3, 0))


def test_an_in_batch_policy_plans_for_all_samples() -> None:
    policy = InBatchPolicy()
    assert policy.epoch_size(10, 4) == 10
    assert policy.select(Request(ScoreTable(10), 4, 0, 3, 0)).ids.tolist() == list(range(10))


def test_a_request_s_draws_follow_from_seed_epoch_and_purpose() -> None:
    def drawn(epoch: int = 1, seed: int = 0, purpose: str = "select", **options: bool) -> int:
        return int(Request(ScoreTable(10), 4, epoch, 3, seed).rng(purpose, **options).integers(2**60))

    assert drawn() == drawn()
    assert len({drawn(), drawn(epoch=2), drawn(seed=1), drawn(purpose="other")}) == 4
    assert drawn(every_epoch=False) == drawn(epoch=2, every_epoch=False)
    request = Request(ScoreTable(10), 4, 0, 3, 0)
    assert (request.num_samples, request.prune_rate) == (10, pytest.approx(0.6))
