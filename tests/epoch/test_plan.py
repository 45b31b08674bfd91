"""Every policy's plan: exactly k, distinct, int64, decided by the seed, in a uniform order."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from cases import scores_and_k, table_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from emprune import EmpruneError, EpochPlan, Policy, Request, Selection, get_policy
from emprune.epoch.plan import make_plan, shuffled

EXACT = {
    "static-random": {}, "random": {}, "rs2": {}, "lfl": {}, "emp": {},
    "emp, top": {"rule": "top", "beta": 20.0, "unseen": "mean"}, "emp, threshold": {"rule": "threshold"},
    "emp, gamma 2": {"gamma": 2.0, "unseen": "mean"}, "infobatch": {}, "infobatch, all": {"weight_sum": "all"},
}  # fmt: skip


def policy_of(name: str) -> Policy:
    return get_policy(name.split(",")[0], **EXACT.get(name, {}))


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=600)
@given(case=scores_and_k(), seed=st.integers(0, 2**40), epoch=st.integers(0, 300))
def test_every_plan_is_exact(name: str, case: tuple[np.ndarray, int], seed: int, epoch: int) -> None:
    loss, k = case
    memory = np.where(np.isnan(loss), 0, np.abs(loss[::-1]))
    table = table_of(loss, np.where(np.isfinite(memory), memory, 0))
    plan = make_plan(policy_of(name), Request(table, k, epoch, 1000, seed))
    assert plan.ids.dtype == np.int64
    assert plan.weights.dtype == np.float32
    assert plan.ids.shape == plan.weights.shape == (k,)
    assert len(set(plan.ids.tolist())) == k
    assert 0 <= plan.ids.min() <= plan.ids.max() < len(loss)
    assert np.isfinite(plan.weights).all()
    again = make_plan(policy_of(name), Request(table, k, epoch, 1000, seed))
    assert (plan, plan.digest) == (again, again.digest)
    if k >= 12:  # two equal orders of 12 samples: one in 479,001,600
        assert make_plan(policy_of(name), Request(table, k, epoch, 1000, seed + 1)) != plan
        assert make_plan(policy_of(name), Request(table, k, epoch + 1, 1000, seed)).ids.tolist() != plan.ids.tolist()


@pytest.mark.parametrize("name", [*EXACT, "full", "infobatch-published"])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_small_plans_differ_between_seeds_too(name: str, size: int) -> None:
    table = table_of(np.linspace(0.1, 0.9, size))
    plans = {tuple(make_plan(policy_of(name), Request(table, size - 1, 0, 10, s)).ids.tolist()) for s in range(40)}
    assert len(plans) > 1 or (size == 2 and name in ("lfl", "emp, top", "infobatch-published"))


@pytest.mark.parametrize("weights", [None, np.arange(4, dtype=np.float32)])
def test_the_order_is_a_uniform_permutation_and_weights_stay_with_their_ids(weights: np.ndarray | None) -> None:
    ids = np.array([3, 5, 7, 11])
    orders = Counter()
    for seed in range(4800):
        plan = shuffled(Selection(ids, weights), 12, 0, seed)
        orders[tuple(plan.ids.tolist())] += 1
        expected = [1.0] * 4 if weights is None else [float(ids.tolist().index(i)) for i in plan.ids]
        assert plan.weights.tolist() == expected
    assert len(orders) == 24
    assert chisquare(list(orders.values())).pvalue > 1e-4


def test_a_full_epoch_asks_no_policy() -> None:
    class Untouchable(Policy):
        pass

    plan = make_plan(Untouchable(), Request(table_of(np.ones(9)), 9, 0, 1, 0))
    assert sorted(plan.ids.tolist()) == list(range(9))
    assert not plan.is_weighted
    with pytest.raises(NotImplementedError, match="Untouchable must override select"):
        make_plan(Untouchable(), Request(table_of(np.ones(9)), 8, 0, 1, 0))


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (None, "NoneType; asked for a Selection"),
        (Selection([0, 1, 2]), "ids in a list; allowed: an int64 array"),
        (Selection(np.array([0, 1])), "2 ids; asked for k = 3"),
        (Selection(np.array([0, 1, 1])), "1 repeated ids"),
        (Selection(np.array([0, 1, 9])), "ids from 0 to 9; allowed: 0 to 8"),
        (Selection(np.array([0, 1, -1])), "ids from -1 to 1; allowed: 0 to 8"),
        (Selection(np.array([0.0, 1.0, 2.0])), "ids of dtype float64"),
        (Selection(np.array([0, 1, 2], dtype=np.int32)), "ids of dtype int32"),
        (Selection(np.array([[0, 1, 2]])), r"ids of dtype int64 and shape \(1, 3\)"),
        (Selection(np.array([0, 1, 2]), np.ones(2, dtype=np.float32)), r"weights of shape \(2,\) for ids of shape"),
    ],
)
def test_a_policy_that_breaks_the_contract_is_named(selection: Any, message: str) -> None:
    class Wrong(Policy):
        name = "wrong"

        def select(self, request: Request) -> Selection:
            return selection

    with pytest.raises(EmpruneError, match=f"policy 'wrong' returned {message}.*Fix its select"):
        make_plan(Wrong(), Request(table_of(np.ones(9)), 3, 0, 1, 0))


def plan_of(ids: list[int], weights: list[float], epoch: int = 0, size: int = 6) -> EpochPlan:
    return EpochPlan(epoch, size, np.array(ids), np.array(weights, dtype=np.float32))


def test_equality_is_that_of_content() -> None:
    plan = plan_of([4, 1], [1, 1])
    assert plan == plan_of([4, 1], [1, 1])
    assert len({plan, plan_of([4, 1], [1, 1])}) == 1
    assert plan not in [plan_of([1, 4], [1, 1]), plan_of([4, 1], [1, 2])]
    assert plan not in [plan_of([4, 1], [1, 1], epoch=1), plan_of([4, 1], [1, 1], size=7)]
    assert plan != "a plan"


def test_a_plan_is_frozen_and_says_what_it_is() -> None:
    plan = plan_of([4, 1], [0.5, 2])
    with pytest.raises(ValueError, match="read-only"):
        plan.ids[0] = 2
    with pytest.raises(ValueError, match="read-only"):
        plan.weights[0] = 2
    assert repr(plan) == f"EpochPlan(epoch=0, kept=2/6, digest={plan.digest[:12]})"
    assert np.array_equal(plan.weight_of, np.array([np.nan, 2, np.nan, np.nan, 0.5, np.nan]), equal_nan=True)
    assert plan.is_weighted
    assert not plan_of([4, 1], [1, 1]).is_weighted
