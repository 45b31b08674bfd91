"""A stream is pruned inside its batches: exact counts, the policies' own choice on fresh values, state and errors."""

from __future__ import annotations

import collections
import json
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from thread_world import on_all_ranks
from torch import nn

from emprune import (
    EMP,
    ArgumentError,
    BatchPruner,
    DivBS,
    EmpruneError,
    EmpruneWarning,
    InfoBatch,
    NonFiniteError,
    Policy,
    Request,
    Selection,
    StateError,
)
from emprune.policies import REGISTRY, get_policy
from emprune.policies.base import InBatchPolicy
from emprune.scoring import classification, gradient_products
from emprune.selection.inclusion import inclusion, log_rate

STREAMED = [name for name, kind in REGISTRY.items() if kind.streams]
IN_BATCH = [name for name, kind in REGISTRY.items() if issubclass(kind, InBatchPolicy)]
SIZES = [64, 64, 17, 64, 3, 1, 64, 40]


def values_of(size: int, seed: int = 0) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(size, 64, generator=draw)
    loss, memory = (torch.rand(size, generator=draw) + 0.01 for _ in range(2))
    return {"loss": loss, "memory": memory, "gradient_products": features @ features.T}


def given_to(pruner: BatchPruner, size: int, seed: int = 0) -> dict[str, torch.Tensor]:
    return {name: value for name, value in values_of(size, seed).items() if name in ("loss", *pruner.policy.inputs)}


@pytest.mark.parametrize("rate", [0.0, 0.35, 0.7, 0.9])
@pytest.mark.parametrize("name", STREAMED + IN_BATCH)
def test_the_rate_is_exact_after_every_batch(name: str, rate: float) -> None:
    pruner, seen, trained = BatchPruner(name, prune_rate=rate), 0, 0
    for batch, size in enumerate(SIZES):
        chosen = pruner.select(**given_to(pruner, size, batch))
        assert len(set(chosen.positions.tolist()) & set(range(size))) == len(chosen.positions)
        seen, trained = seen + size, trained + len(chosen.positions)
        assert abs(trained - (1 - rate) * seen) <= 0.5 + 1e-9
    assert (pruner.samples_forward, pruner.samples_backward, pruner.batches) == (seen, trained, len(SIZES))
    assert pruner.realised_rate == pytest.approx(rate, abs=0.5 / seen)


def test_samples_are_drawn_in_proportion_to_the_square_of_emps_score() -> None:
    values = values_of(32)
    score = values["loss"] + 20 * values["memory"]
    counts = np.zeros(32)
    pruner = BatchPruner(prune_rate=0.75)
    for _ in range(4000):
        counts[pruner.select(values["loss"], values["memory"]).positions.numpy()] += 1
    scores = score.numpy()
    expected = inclusion(log_rate(scores, 8, np.random.default_rng(0), gamma=2.0) + 2 * np.log(scores))
    error = np.sqrt(expected * (1 - expected) / 4000)
    assert (np.abs(counts / 4000 - expected) < 4.5 * error + 0.01).all()


def test_policies_choose_by_the_fresh_values() -> None:
    loss = values_of(50)["loss"]
    top = set(loss.topk(10).indices.tolist())
    assert set(BatchPruner("lfl", prune_rate=0.8).select(loss).positions.tolist()) == top
    emp = BatchPruner(EMP(beta=1, rule="top"), prune_rate=0.8)
    score = loss + values_of(50)["memory"]
    assert set(emp.select(loss, values_of(50)["memory"]).positions.tolist()) == set(score.topk(10).indices.tolist())
    chosen = BatchPruner("infobatch", prune_rate=0.5).select(loss)
    direct = InfoBatch()
    assert float(chosen.weights.sum()) == pytest.approx(25, rel=1e-5)
    assert chosen.weights.max() > chosen.weights.min()
    assert direct.below_share == 0.8
    greedy = BatchPruner(DivBS(draw="greedy"), prune_rate=0.9)
    products = values_of(50)["gradient_products"]
    first = greedy.select(loss, gradient_products=products).positions[0]
    assert first == products.sum(dim=1).abs().argmax()


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(6, 3)


def batch_of(size: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(size, 6, generator=draw), torch.randint(0, 3, (size,), generator=draw)


@pytest.mark.parametrize("policy", ["emp", "infobatch", "selective-backprop"])
def test_the_gradient_is_that_of_the_chosen_samples_alone(policy: str) -> None:
    images, labels = batch_of(40)
    network, passes = model(), []

    def score(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        passes.append((len(x), torch.is_grad_enabled()))
        return classification(network(x), y)

    BatchPruner(policy, prune_rate=0.7).loss(score, images, labels).backward()
    assert passes == [(40, False), (12, True)]
    by_hand = model()
    chosen = BatchPruner(policy, prune_rate=0.7).select(*classification(by_hand(images), labels))
    losses = classification(by_hand(images), labels)[0][chosen.positions]
    (losses if chosen.weights is None else losses * chosen.weights).mean().backward()
    torch.testing.assert_close(network.weight.grad, by_hand.weight.grad)


def test_a_batch_whose_share_is_none_has_a_gradient_of_zero() -> None:
    pruner, network = BatchPruner(prune_rate=0.9), model()
    score = lambda x, y: classification(network(x), y)  # noqa: E731
    pruner.loss(score, *batch_of(10)).backward()
    network.zero_grad()
    pruner.loss(score, *batch_of(2)).backward()
    assert network.weight.grad.abs().sum() == 0
    assert pruner.samples_backward == 1


Pair = collections.namedtuple("Pair", "x y")


class Batch(collections.UserDict):
    """As transformers' BatchEncoding."""


@pytest.mark.parametrize(
    "batch",
    [
        lambda x, y: ({"x": x, "y": y, "flag": True, "none": None, "text": ["t"] * len(x)},),
        lambda x, y: (Batch(x=x, y=y, scale=torch.tensor(2.0), numbers=y.numpy()),),
        lambda x, y: (Pair(x, y),),
        lambda x, y: ([{"x": x[i], "y": y[i]} for i in range(len(x))],),
    ],
)  # fmt: skip
def test_batches_of_any_make_are_cut(batch: Any) -> None:
    network, sizes = model(), []

    def score(part: Any) -> Any:
        if isinstance(part, list):
            x, y = (torch.stack([one[name] for one in part]) for name in "xy")
        else:
            x, y = (part.x, part.y) if isinstance(part, Pair) else (part["x"], part["y"])
            if "text" in (part if isinstance(part, dict) else ()):
                assert len(part["text"]) == len(x)
            if isinstance(part, Batch):
                assert part["scale"] == 2
                assert (part["numbers"] == y.numpy()).all()
        sizes.append((len(x), type(part)))
        return classification(network(x), y)

    given = batch(*batch_of(20))
    BatchPruner(prune_rate=0.7).loss(score, *given).backward()
    assert sizes == [(20, type(given[0])), (6, type(given[0]))]


def test_a_batch_of_two_is_no_batch_of_two_columns() -> None:
    seen = []

    def score(part: list[torch.Tensor]) -> torch.Tensor:
        seen.append([len(column) for column in part])
        return part[0].sum(dim=1)

    BatchPruner("random", prune_rate=0.5).loss(score, list(batch_of(2)))
    assert seen == [[2, 2], [1, 1]]


def test_scores_by_name_reach_an_in_batch_policy() -> None:
    network = model()

    def score(x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = network(x)
        loss, memory = classification(logits, y)
        return {"loss": loss, "memory": memory, "gradient_products": gradient_products(logits, y, x)}

    BatchPruner("divbs", prune_rate=0.7).loss(score, *batch_of(20)).backward()
    assert network.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("name", ["emp", "selective-backprop", "random"])
def test_a_restored_pruner_chooses_what_it_would_have(name: str) -> None:
    whole, begun = BatchPruner(name, prune_rate=0.65, seed=3), BatchPruner(name, prune_rate=0.65, seed=3)
    expected = [whole.select(**given_to(whole, size, i)).positions.tolist() for i, size in enumerate(SIZES)]
    for i, size in enumerate(SIZES[:3]):
        begun.select(**given_to(begun, size, i))
    restored = BatchPruner(name, prune_rate=0.65, seed=3)
    restored.load_state_dict(json.loads(json.dumps(begun.state_dict())))
    rest = list(enumerate(SIZES))[3:]
    assert [restored.select(**given_to(restored, size, i)).positions.tolist() for i, size in rest] == expected[3:]
    other = BatchPruner(name, prune_rate=0.65, seed=4)
    again = [other.select(**given_to(other, size, i)).positions.tolist() for i, size in enumerate(SIZES)]
    assert again != expected


def test_ranks_choose_apart_and_are_exact_in_sum() -> None:
    def task(world: Any) -> tuple[int, int, list[int]]:
        pruner, chosen = BatchPruner("random", prune_rate=0.7, world=world), []
        for size in (16, 16, 5):
            chosen += pruner.select(torch.rand(size)).positions.tolist()
        return pruner.samples_forward, pruner.samples_backward, chosen

    ranks = on_all_ranks(task)
    assert sum(backward for _, backward, _ in ranks) == round(0.3 * 3 * 37)
    assert len({tuple(chosen) for _, _, chosen in ranks}) == 3


def test_ranks_with_streams_of_other_lengths_take_as_many_steps() -> None:
    def task(world: Any) -> list[int]:
        return list(BatchPruner(prune_rate=0.5, world=world).together(range(4 + 2 * world.rank)))

    assert on_all_ranks(task) == [[0, 1, 2, 3]] * 3
    assert list(BatchPruner(prune_rate=0.5).together(range(4))) == [0, 1, 2, 3]


def test_ranks_must_agree() -> None:
    found = on_all_ranks(lambda world: BatchPruner(prune_rate=0.5, seed=world.rank, world=world))
    assert all("ranks disagree on seed" in str(error) for error in found)


def test_quarantined_samples_come_last() -> None:
    loss = torch.rand(20) + 1
    loss[[3, 7]] = torch.tensor([torch.nan, torch.inf])
    with pytest.raises(NonFiniteError, match=r"2 sample.* of batch 0, positions 3, 7"):
        BatchPruner("lfl", prune_rate=0.5).select(loss)
    pruner = BatchPruner("lfl", prune_rate=0.1, on_nonfinite="quarantine")
    assert not {3, 7} & set(pruner.select(loss).positions.tolist())
    network = nn.Linear(1, 1)
    score = lambda x: network(x)[:, 0] * torch.where(x[:, 0] > 0.5, torch.nan, 1.0)  # noqa: E731
    found = BatchPruner("random", prune_rate=0.1, on_nonfinite="quarantine").loss(score, torch.rand(20, 1))
    assert torch.isfinite(found)


class Own(Policy):
    name = "own"

    def select(self, request: Request) -> Selection:
        return request.top(-request.table.loss)


class OwnOfStreams(Own):
    streams = True


class Wrong(OwnOfStreams):
    def select(self, request: Request) -> Selection:
        return Selection(np.arange(request.k + 1))


def test_a_policy_of_ones_own() -> None:
    with pytest.raises(ArgumentError, match="streams = True"):
        BatchPruner(Own(), prune_rate=0.5)
    loss = torch.arange(10.0)
    assert BatchPruner(OwnOfStreams(), prune_rate=0.5).select(loss).positions.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(EmpruneError, match="6 ids; asked for k = 5"):
        BatchPruner(Wrong(), prune_rate=0.5).select(loss)


@pytest.mark.parametrize("name", [n for n in REGISTRY if n not in STREAMED + IN_BATCH and not n.startswith("static-s")])
def test_policies_that_need_epochs_are_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"policy is '{name}'; allowed: one that chooses by the loss"):
        BatchPruner(get_policy(name), prune_rate=0.5)


def test_emp_goes_without_a_memory_term_if_none_is_given() -> None:
    pruner = BatchPruner(prune_rate=0.5)
    with pytest.warns(EmpruneWarning, match="no memory term"):
        pruner.select(torch.rand(10))
    with pytest.raises(ArgumentError, match="in all of them, or in none"):
        pruner.select(torch.rand(10), torch.rand(10))
    restored = BatchPruner(prune_rate=0.5)
    restored.load_state_dict(pruner.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        restored.select(torch.rand(10))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: p.select(torch.tensor(1.0)), 'reduction="none"'),
        (lambda p: p.select((torch.rand(4), torch.rand(4))), r"select\(\*scored\)"),
        (lambda p: p.select(torch.rand(4)), "batch of 4'; allowed: of at least 10 samples at a prune rate of 0.9"),
        (lambda p: p.select(torch.rand(20), torch.rand(19)), "memory is 'of shape"),
        (lambda p: p.select(torch.rand(20), torch.rand(20), entropy=torch.rand(20)), "entropy is 'given'"),
        (lambda p: p.loss(lambda x: None, torch.rand(20)), "function that returned NoneType"),
        (lambda p: p.loss(lambda x, y: x, torch.rand(20), torch.rand(7)), r"shape \(7,\).*pruner.select"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(call: Any, words: str) -> None:
    pruner = BatchPruner("lfl" if "x" in call.__code__.co_consts else "emp", prune_rate=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ArgumentError, match=words):
            call(pruner)


def test_states_that_do_not_fit_are_refused() -> None:
    state = BatchPruner(prune_rate=0.5).state_dict()
    for changed, words in (
        ({"prune_rate": 0.6}, "prune_rate is 0.6 here, but the state was saved with 0.5"),
        ({"seed": 1}, "seed"),
        ({"policy": "random"}, "policy"),
        ({"policy": EMP(beta=1)}, "policy_settings"),
    ):
        with pytest.raises(StateError, match=words):
            BatchPruner(**{"prune_rate": 0.5, **changed}).load_state_dict(state)
    pruner = BatchPruner(prune_rate=0.5)
    for broken in (
        None,
        {},
        {**state, "rank": 1},
        {**state, "counters": {}},
        {**state, "fingerprint": None},
        {**state, "has_memory": 3},
    ):
        with pytest.raises(StateError):
            pruner.load_state_dict(broken)
    bad = {**state, "counters": {**state["counters"], "batches": -1}}
    with pytest.raises(StateError, match="whole numbers"):
        pruner.load_state_dict(bad)
    assert pruner.batches == 0
    found = on_all_ranks(lambda world: BatchPruner(prune_rate=0.5, world=world).load_state_dict(state))
    assert all("ranks is 3 here" in str(error) for error in found)


def test_a_state_that_does_not_fit_one_rank_is_refused_by_all() -> None:
    def task(world: Any) -> None:
        pruner = BatchPruner(prune_rate=0.5, world=world)
        states = world.all_gather(np.frombuffer(json.dumps(pruner.state_dict()).encode(), np.uint8))
        given = states[1 if world.rank == 2 else world.rank]
        pruner.load_state_dict(json.loads(given.tobytes()))

    found = on_all_ranks(task)
    assert all("the state is of rank 1, this is rank 2" in str(error) for error in found)


@pytest.mark.parametrize("policy", ["random", "emp", "lfl", "orderdp"])
def test_what_is_not_finite_is_taken_last(policy: str) -> None:
    loss = torch.rand(64) + 0.1
    loss[::2] = torch.nan
    for rate in (0.5, 0.7):
        pruner = BatchPruner(policy, prune_rate=rate, on_nonfinite="quarantine")
        for _ in range(5):
            chosen = pruner.select(loss, torch.rand(64))
            assert torch.isfinite(loss[chosen.positions]).all()
    few = torch.full((64,), torch.nan)
    few[[3, 7]] = 1.0
    chosen = BatchPruner(policy, prune_rate=0.9, on_nonfinite="quarantine").select(few, torch.rand(64))
    assert len(chosen.positions) == 6
    assert {3, 7} <= set(chosen.positions.tolist())


@pytest.mark.parametrize(
    "changed",
    [
        {"schema_version": True}, {"schema_version": np.zeros(2)}, {"has_memory": 0}, {"has_memory": np.zeros(2)},
        {"counters": {"batches": 1, "samples_forward": 2, "samples_backward": 500}},
    ],
)  # fmt: skip
def test_malformed_states_are_refused(changed: dict[str, Any]) -> None:
    pruner = BatchPruner("emp", prune_rate=0.5)
    pruner.select(torch.rand(8), torch.rand(8))
    with pytest.raises(StateError):
        pruner.load_state_dict({**pruner.state_dict(), **changed})
