"""Ranks that hold a part of the scores each train what one rank with all of them would."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from cases import loss_of, memory_of
from hypothesis import given, settings
from hypothesis import strategies as st
from thread_world import on_all_ranks

import emprune.distributed.rank_slice
import emprune.selection.permutation
import emprune.selection.topk
from emprune import (
    EMP,
    ArgumentError,
    AutoRate,
    EmpruneError,
    EpochOrderError,
    IdBatches,
    NonFiniteError,
    Pruner,
    StateError,
)
from emprune.distributed import World
from emprune.distributed.partition import rank_positions
from emprune.distributed.rank_slice import RankSlice
from emprune.epoch.observations import Step
from emprune.policies import partitionable
from emprune.policies.generalisation import COUNTED
from emprune.policies.reliability import PAIRS
from emprune.selection import Selection
from emprune.selection.rank_rules import RankRules

N, EPOCHS, GLOBAL = 103, 4, 12
special = st.sampled_from([0.0, -0.0, 1.0, 1.0, 2.5, np.inf, np.nan, 1e-40, 3e38])
scores_of = st.lists(special | st.floats(0, 8, width=32), min_size=1, max_size=60)


@pytest.fixture(params=["few", "many"])
def sizes(request, monkeypatch) -> None:
    """Once as it is for a few samples; once with the ways of very many, at sizes that a test can hold."""
    if request.param == "many":
        monkeypatch.setattr(emprune.distributed.rank_slice, "BLOCK", 8)
        monkeypatch.setattr(emprune.selection.topk, "_FEW", 3)
        monkeypatch.setattr(emprune.selection.permutation, "LARGE", 4)


def build(world: World | None = None, policy: Any = "emp", rate: Any = 0.6, **options: Any) -> Pruner:
    if world is not None:
        options["partition_batch_size"] = GLOBAL // world.size
    return Pruner(N, policy, prune_rate=rate, num_epochs=EPOCHS, seed=5, world=world, **options)


def step(pruner: Pruner, ids: torch.Tensor) -> None:
    pruner.loss(ids, loss_of(ids, pruner.epoch), memory_of(ids, pruner.epoch))


def trained(pruner: Pruner, *, drop_last: bool = False) -> list[tuple[int, list[int], list[float]]]:
    """Epoch, ids and weights of each batch, in order."""
    batches = []
    for epoch in pruner.epochs():
        weights = dict(zip(pruner.plan.ids.tolist(), pruner.plan.weights.tolist(), strict=False))
        for ids in IdBatches(pruner, GLOBAL // pruner.world.size, drop_last=drop_last):
            step(pruner, ids)
            batches.append((epoch, ids.tolist(), [weights[i] for i in ids.tolist()]))
    return batches


def rows(pruner: Pruner) -> dict[str, np.ndarray]:
    return {name: column.numpy() for name, column in pruner.table.state_dict().items()}


def of_one_rank(pruner: Pruner, ranks: int, rank: int, *, drop_last: bool = False) -> list[Any]:
    """What each rank would train of a plan that one holds whole."""
    batches = []
    for epoch in pruner.epochs():
        plan, size = pruner.plan, GLOBAL // ranks
        part = rank_positions(0, len(plan), size, ranks, rank, drop_last=drop_last).positions
        for begin in range(0, len(part), size):
            places = part[begin : begin + size]
            batches.append((epoch, plan.ids[places].tolist(), plan.weights[places].tolist()))
        end = len(plan) // GLOBAL * GLOBAL if drop_last else len(plan)
        for begin in range(0, end, GLOBAL):
            step(pruner, torch.from_numpy(plan.ids[begin : min(end, begin + GLOBAL)].copy()))
    return batches


def test_a_report_counts_the_samples_of_all_ranks_before_the_first_exchange() -> None:
    for report in on_all_ranks(lambda world: build(world).report(), 3):
        assert (report.num_samples, report.never_trained, report.samples_backward) == (N, N, 0)


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize("ranks", [2, 3, 4])
@pytest.mark.parametrize("policy", partitionable())
def test_partitions_train_what_one_rank_with_all_scores_would(policy: str, ranks: int) -> None:
    def run(world: World) -> tuple[list[Any], dict[str, np.ndarray], Any]:
        pruner = build(world, policy)
        return trained(pruner), rows(pruner), pruner.report()

    outcomes = on_all_ranks(run, ranks)
    whole = build(policy=policy)
    for rank, (batches, *_) in enumerate(outcomes):
        whole = build(policy=policy)
        assert batches == of_one_rank(whole, ranks, rank)
    for name, column in rows(whole).items():
        parts = [part[name] for _, part, _ in outcomes]
        if name.removeprefix("history.") in {**COUNTED, **PAIRS}:
            assert np.allclose(np.sum(parts, axis=0), column), name
        elif name.startswith("history."):
            assert all(np.allclose(part, column, equal_nan=True) for part in parts), name
        else:
            assert np.array_equal(np.concatenate(parts), column, equal_nan=True), name
    found, report = outcomes[-1][2], whole.report()
    for name in ("samples_backward", "realised_rate", "never_trained", "epochs", "num_samples", "quarantined_ids"):
        assert getattr(found, name) == getattr(report, name), name


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize("policy", ["emp", "lfl"])
@pytest.mark.parametrize("rate", ["auto", AutoRate(lowest=0.0, target=0.6)], ids=["auto", "target"])
def test_a_rate_that_follows_the_scores_follows_those_of_all_ranks(policy: str, rate: Any) -> None:
    outcomes = on_all_ranks(lambda world: (trained(pruner := build(world, policy, rate)), pruner.kept), 3)
    for rank, (batches, kept) in enumerate(outcomes):
        whole = build(policy=policy, rate=rate)
        assert batches == of_one_rank(whole, 3, rank)
        assert kept == whole.kept
        assert len(set(kept)) > 1


def test_the_whole_last_batch_may_be_dropped() -> None:
    outcomes = on_all_ranks(lambda world: trained(build(world), drop_last=True), 3)
    for rank, batches in enumerate(outcomes):
        assert batches == of_one_rank(build(), 3, rank, drop_last=True)


@pytest.mark.usefixtures("sizes")
def test_fewer_samples_than_ranks() -> None:
    def run(world: World) -> list[Any]:
        pruner = Pruner(3, "lfl", prune_rate=0.5, num_epochs=2, partition_batch_size=2, world=world)
        assert [len(pruner.table)] == [[0, 1, 1, 1][world.rank]]
        return [(step(pruner, ids), ids.tolist())[1] for _ in pruner.epochs() for ids in IdBatches(pruner, 2)]

    outcomes = on_all_ranks(run, 4)
    assert [len(batches) for batches in outcomes] == [2] * 4
    assert len({i for rank in outcomes for i in rank[0]}) == 2


RULES = {
    "uniform": lambda scores, rules: rules.uniform(),
    "top": lambda scores, rules: rules.top(scores),
    "sample": lambda scores, rules: rules.sample(scores),
    "sample squared": lambda scores, rules: rules.sample(scores, gamma=2),
    "threshold": lambda scores, rules: rules.threshold(scores),
    "threshold all": lambda scores, rules: rules.threshold(scores, below_share=0.3, weight_sum="all"),
    "published": lambda scores, rules: rules.threshold_published(scores, 1 - rules.k / rules.owned.num_samples),
}


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize("name", RULES)
@settings(max_examples=25, deadline=None)
@given(scores=scores_of, part=st.floats(0, 1), ranks=st.integers(2, 4), seed=st.integers(0, 9))
def test_rules_select_the_same_of_parts_as_of_the_whole(
    name: str, scores: list[float], part: float, ranks: int, seed: int
) -> None:
    column, k = np.array(scores, dtype=np.float32), max(1, round(part * len(scores)))

    def choose(owned: RankSlice) -> tuple[list[int], list[int], list[float]]:
        rng = np.random.Generator(np.random.SFC64(seed))
        with np.errstate(over="ignore"):
            chosen = RULES[name](column[owned.begin : owned.end], RankRules(owned, k, rng))
        ids = (owned.begin + chosen.ids).tolist()
        weights = [1.0] * len(ids) if chosen.weights is None else chosen.weights.tolist()
        return ids[: chosen.head], ids[chosen.head :], weights, rng.random()  # type: ignore[return-value]

    head, tail, weights, left = choose(RankSlice.whole(len(scores)))
    parts = on_all_ranks(lambda world: choose(RankSlice.of(len(scores), world)), ranks)
    assert [i for ids, *_ in parts for i in ids] == head
    assert [i for _, ids, *_ in parts for i in ids] == tail
    assert [w for ids, _, ws, _ in parts for w in ws[: len(ids)]] == weights[: len(head)]
    assert [w for ids, _, ws, _ in parts for w in ws[len(ids) :]] == weights[len(head) :]
    assert {rng for *_, rng in parts} == {left}, "the ranks' generators are not where the whole's is"


@settings(max_examples=60, deadline=None)
@given(scores=scores_of, part=st.floats(0, 1), ranks=st.integers(2, 4), sign=st.sampled_from([1, -1]))
def test_the_kth_smallest_of_all_ranks(scores: list[float], part: float, ranks: int, sign: int) -> None:
    column = sign * np.array(scores, dtype=np.float32)
    k = min(len(scores), 1 + int(part * len(scores)))

    def find(world: World) -> np.float32:
        owned = RankSlice.of(len(column), world)
        return owned.kth_smallest(column[owned.begin : owned.end], k)

    expected = np.partition(column, k - 1)[k - 1]
    for found in on_all_ranks(find, ranks):
        assert np.array_equal(found, expected, equal_nan=True)


def test_memory_falls_as_the_number_of_ranks_grows() -> None:
    def held(world: World) -> list[int]:
        pruner = build(world)
        arrays = [pruner.plan.ids, pruner.plan.weights, pruner.plan.row_weights]
        return [pruner.table.nbytes, sum(array.nbytes for array in arrays)]

    for table, plan in on_all_ranks(held, 4):
        assert table <= 16 * (N // 4 + 1)
        assert plan <= 12 * (round(0.4 * N) // 4 + 3) + 4 * (N // 4 + 1)


@pytest.mark.parametrize("stop", [0, 1, 2, 3])
def test_a_state_of_mid_epoch_goes_on_with_what_is_left(stop: int) -> None:
    """After ``stop`` of four steps in epoch 1; with the second kill in the same epoch."""

    def run(world: World) -> tuple[list[Any], list[Any]]:
        pruner = build(world)
        for epoch in pruner.epochs():
            for number, ids in enumerate(IdBatches(pruner, GLOBAL // world.size)):
                if (epoch, number) == (1, stop):
                    state = pruner.state_dict()
                    once = build(world)
                    once.load_state_dict(state)
                    if number < 3:
                        step(once, next(iter(IdBatches(once, GLOBAL // world.size))))
                    twice = build(world)
                    twice.load_state_dict(once.state_dict())
                    return trained(twice), rows(twice)  # type: ignore[return-value]
                step(pruner, ids)
        raise AssertionError

    outcomes = on_all_ranks(run, 3)
    for rank, (batches, _) in enumerate(outcomes):
        whole = build()
        expected = of_one_rank(whole, 3, rank)
        first = next(i for i, (epoch, *_) in enumerate(expected) if epoch == 1)
        assert batches == expected[first + min(stop + 1, 3) :]
    for name, column in rows(whole).items():
        assert np.array_equal(np.concatenate([part[name] for _, part in outcomes]), column, equal_nan=True), name


def test_a_state_after_an_only_batch_that_was_not_full_goes_on_with_the_next_epoch() -> None:
    def run(world: World) -> list[int]:
        pruner = Pruner(40, "lfl", prune_rate=0.9, num_epochs=2, partition_batch_size=8, world=world)
        for ids in IdBatches(pruner, 8):
            step(pruner, ids)
        restored = Pruner(40, "lfl", prune_rate=0.9, num_epochs=2, partition_batch_size=8, world=world)
        restored.load_state_dict(pruner.state_dict())
        left = []
        for _ in restored.epochs():
            batches = [(step(restored, ids), ids)[1] for ids in IdBatches(restored, 8)]
            left.append(sum(map(len, batches)))
        return left

    assert on_all_ranks(run, 2) == [[0, 2], [0, 2]]


def test_states_of_another_world_rank_or_batch_size_are_refused() -> None:
    def save(world: World) -> dict[str, Any]:
        return build(world).state_dict()

    three = on_all_ranks(save, 3)

    def load(world: World, state: dict[str, Any]) -> None:
        build(world).load_state_dict(state)

    for error in on_all_ranks(lambda world: load(world, three[world.rank]), 2):
        assert isinstance(error, StateError)
        assert "ranks is '2 of batch size 6' here, but the state was saved with '3 of batch size 4'" in str(error)
    for error in on_all_ranks(lambda world: load(world, three[(world.rank + 1) % 3]), 3):
        assert "Give each rank the state that it saved itself" in str(error)
    with pytest.raises(StateError, match="ranks"):
        build().load_state_dict(three[0])


def test_ranks_at_different_steps_cannot_save() -> None:
    def run(world: World) -> None:
        pruner = build(world)
        for number, ids in enumerate(IdBatches(pruner, GLOBAL // world.size)):
            if number < 2 - (world.rank == 1):
                step(pruner, ids)
        pruner.state_dict()

    for error in on_all_ranks(run, 2):
        assert isinstance(error, StateError)
        assert "samples of epoch 0 left" in str(error)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("nan", NonFiniteError, "1 sample\\(s\\), ids {nan}"),
        ("range", ArgumentError, f"ids is {N + 4}; allowed: dataset positions from 0 to {N - 1}"),
        ("foreign", EpochOrderError, "1 id\\(s\\) are not in the plan of the running epoch 0, the first is"),
    ],
)
def test_what_is_wrong_on_one_rank_is_raised_on_all(fault: str, error: type[Exception], words: str) -> None:
    names = []

    def run(world: World) -> None:
        pruner = build(world)
        plan = np.concatenate(world.all_gather(pruner.plan.ids))
        outside = np.setdiff1d(np.arange(N), plan)
        for number, ids in enumerate(IdBatches(pruner, GLOBAL // world.size)):
            loss, memory = loss_of(ids, 0).detach().clone(), memory_of(ids, 0)
            if (world.rank, number) == (1, 1):
                if fault == "nan":
                    loss[0] = torch.nan
                    names.append(int(ids[0]))
                else:
                    # A step's own check sees these on the rank itself; what it cannot see comes with the exchange.
                    pruner._now()._buffer.add(
                        Step.of(
                            torch.tensor([N + 4 if fault == "range" else outside[0]]),
                            {"loss": loss[:1], "memory": memory[:1]},
                        ),
                        True,
                        is_train_step=True,
                    )
            pruner.loss(ids, loss, memory)
        pruner.end_epoch()

    for raised in on_all_ranks(run, 3):
        assert isinstance(raised, error), raised
        assert re.search(words.format(nan=names[0] if names else ""), str(raised))


@pytest.mark.parametrize("foreign", [True, False])
def test_a_rank_sees_at_once_what_does_not_belong_to_its_batches(foreign: bool) -> None:
    def run(world: World) -> None:
        pruner = build(world)
        others = np.setdiff1d(np.concatenate(world.all_gather(pruner.plan.ids)), pruner.plan.ids)
        ids = torch.tensor([others[0] if foreign else N])
        with pytest.raises(EpochOrderError if foreign else ArgumentError, match=r"not in the plan|dataset positions"):
            pruner.loss(ids, torch.ones(1), torch.ones(1))

    assert on_all_ranks(run, 3) == [None] * 3


def test_policies_that_look_at_the_whole_table_are_refused() -> None:
    for policy in ("kakurenbo", "repb", "divbs"):
        for error in on_all_ranks(lambda world, policy=policy: build(world, policy), 2):
            assert isinstance(error, ArgumentError)
            assert "works on a partitioned table: full, static-random, random, rs2, lfl, infobatch" in str(error)


def test_a_policy_that_takes_a_part_for_the_whole_table_is_found_out() -> None:
    class Mine(EMP):
        def select(self, request: Any) -> Selection:
            return Selection(np.argsort(request.table.loss)[: request.k])

    for error in on_all_ranks(lambda world: build(world, Mine()), 2):
        assert isinstance(error, EmpruneError)
        assert "use the rules of the request" in str(error)


def test_the_loader_must_have_the_batch_size_that_was_planned_for() -> None:
    for error in on_all_ranks(lambda world: list(IdBatches(build(world), 5)), 2):
        assert isinstance(error, ArgumentError)
        assert "6, the pruner's partition_batch_size" in str(error)


def test_one_rank_alone_holds_the_whole_table() -> None:
    pruner = Pruner(N, "emp", prune_rate=0.5, num_epochs=2, partition_batch_size=4)
    assert not pruner.is_partitioned
    assert pruner.plan == Pruner(N, "emp", prune_rate=0.5, num_epochs=2).plan
