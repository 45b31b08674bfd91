"""What each built-in policy prefers, and that the registry knows them all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cases import loss_of, memory_of, play, table_of

from emprune import EMP, LFL, RS2, ArgumentError, InfoBatch, Policy, Pruner, Request, StaticRandom, get_policy
from emprune.epoch.plan import make_plan

LOSS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def chosen(
    policy: Policy, k: int, loss: np.ndarray = LOSS, memory: np.ndarray | None = None, epoch: int = 0
) -> set[int]:
    return set(make_plan(policy, Request(table_of(loss, memory), k, epoch, 10, 0)).ids.tolist())


def test_lfl_takes_the_highest_losses_and_unseen_samples_first() -> None:
    assert chosen(LFL(), 2) == {4, 5}
    assert chosen(LFL(), 2, np.array([0.1, np.inf, 0.3, 0.4, 0.5, 0.6])) == {1, 5}


def test_emp_adds_beta_times_the_memory_term() -> None:
    memory = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert chosen(EMP(beta=0.0, rule="top"), 1, memory=memory) == {5}
    assert chosen(EMP(beta=0.4, rule="top"), 1, memory=memory) == {5}
    assert chosen(EMP(beta=0.6, rule="top"), 1, memory=memory) == {0}


def test_emp_with_beta_0_and_top_is_lfl() -> None:
    for k in range(1, 6):
        assert chosen(EMP(beta=0.0, rule="top"), k, memory=LOSS[::-1]) == chosen(LFL(), k)


@pytest.mark.parametrize(("unseen", "expected"), [("first", {1, 5}), ("mean", {5, 4})])
def test_emp_places_unseen_samples(unseen: str, expected: set[int]) -> None:
    loss = np.array([0.1, np.inf, 0.3, 0.4, 0.5, 0.6])
    assert chosen(EMP(rule="top", unseen=unseen), 2, loss) == expected


def test_a_score_beyond_float32_is_the_largest_and_not_an_unseen_one() -> None:
    huge = float(np.finfo(np.float32).max)
    loss = np.array([huge, np.inf, 0.3, np.inf, 0.5, 0.6])
    memory = np.array([huge, 0, 0, 0, 0, 0])
    assert chosen(EMP(beta=1e300, rule="top", unseen="first"), 2, loss, memory) == {1, 3}
    assert chosen(EMP(beta=2.0, rule="top", unseen="mean"), 1, loss, memory) == {0}


def test_infobatch_keeps_what_is_above_the_mean_and_reweights_the_rest() -> None:
    loss = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 3.0])
    plan = make_plan(InfoBatch(below_share=0.5, weight_sum="all"), Request(table_of(loss), 3, 0, 10, 0))
    weights = dict(zip(plan.ids.tolist(), plan.weights.tolist(), strict=True))
    assert weights.pop(5) == 1
    assert list(weights.values()) == [2.5, 2.5]
    plan = make_plan(InfoBatch(below_share=0.5), Request(table_of(loss), 3, 0, 10, 0))
    assert plan.weights.mean() == pytest.approx(1)


def test_infobatch_as_published_misses_the_rate_and_says_so() -> None:
    pruner = Pruner(6, "infobatch-published", prune_rate=0.5, num_epochs=2, warmup_epochs=1)
    pruner.loss(torch.arange(6), torch.tensor([0.1, 0.1, 0.1, 0.1, 3.0, 3.0]))
    pruner.end_epoch()
    assert len(pruner.plan) == 2 + 2
    assert set(pruner.plan.weights.tolist()) == {1.0, 2.0}
    with pytest.raises(ArgumentError, match="policy is 'infobatch-published'; allowed: a policy with an exact rate"):
        pruner.total_steps(2)


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


def test_a_policy_s_settings_are_its_arguments() -> None:
    assert get_policy("emp", beta=2.0, gamma=0.5, unseen="first").settings() == {
        "beta": 2.0, "rule": "sample", "gamma": 0.5, "unseen": "first",
    }  # fmt: skip
    assert repr(get_policy("infobatch", below_share=0.5)) == "InfoBatch(below_share=0.5, weight_sum='kept')"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: get_policy("el2n"), "policy is 'el2n'; allowed: one of full, static-random, random, rs2, lfl"),
        (lambda: Pruner(9, "nope", prune_rate=0.5, num_epochs=1), "policy is 'nope'; allowed: one of full, .*emp"),
        (lambda: Pruner(9, EMP, prune_rate=0.5, num_epochs=1), "policy is <class .*EMP'>; allowed: a policy's name"),
        (lambda: get_policy("emp", alpha=1), r"settings of emp is \{'alpha': 1\}; allowed: .*alpha"),
        (lambda: EMP(beta=-1), "beta is -1; allowed: a finite number of at least 0"),
        (lambda: EMP(beta=float("inf")), "beta is inf; allowed: a finite number"),
        (lambda: EMP(rule="bottom"), "rule is 'bottom'; allowed: one of top, sample, threshold"),
        (lambda: EMP(gamma=float("nan")), "gamma is nan; allowed: a finite number of at least 0"),
        (lambda: EMP(unseen="last"), "unseen is 'last'; allowed: 'first' or 'mean'"),
        (lambda: InfoBatch(below_share=0), r"below_share is 0; allowed: a number in \(0, 1\]"),
        (lambda: InfoBatch(weight_sum="half"), "weight_sum is 'half'; allowed: 'kept' or 'all'"),
    ],
)
def test_bad_policies_and_settings_are_named(build: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build()


def test_the_loss_is_the_weighted_mean_of_the_batch() -> None:
    pruner = Pruner(20, "infobatch", prune_rate=0.5, num_epochs=2, warmup_epochs=1)
    everyone = torch.arange(20)
    assert pruner.loss(everyone, loss_of(everyone)).item() == pytest.approx(loss_of(everyone).mean().item())
    pruner.end_epoch()
    ids = torch.from_numpy(pruner.plan.ids[:4].copy())
    loss = loss_of(ids).requires_grad_()
    weights = pruner.plan.weight_of[ids.numpy()]
    assert len(set(weights.tolist())) > 1
    total = pruner.loss(ids, loss, memory_of(ids))
    assert total.item() == pytest.approx(float((loss.detach().numpy() * weights).mean()))
    total.backward()
    assert loss.grad.tolist() == pytest.approx((weights / 4).tolist())
