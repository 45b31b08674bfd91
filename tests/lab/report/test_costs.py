"""Costs by hand, and which budgets may be ranked against each other."""

import pytest
from made_results import comparison, made, made_own

from emprune.errors import ArgumentError
from emprune.policies import REGISTRY
from emprune_lab.report.costs import check_budgets, cost_of, own_budget


def seconds(train, score=0.0, select=0.0):
    return {"total": 1000.0, "train": train, "score": score, "select": select, "evaluate": 100.0}


def test_cost_by_hand():
    full = [made("full", 0, 0, seconds=seconds(100, 0, 0)), made("full", 0, 1, seconds=seconds(104, 0, 0))]
    runs = [
        made("emp", 0.7, 0, seconds=seconds(30, 3, 1), samples_forward=4000),
        made("emp", 0.7, 1, seconds=seconds(34, 1, 3), samples_forward=4002),
    ]
    cost = cost_of(runs, full)
    assert (cost.samples_backward, cost.samples_forward, cost.optimizer_steps) == (900, 4001, 90)
    assert (cost.train, cost.score, cost.select, cost.seconds) == (32, 2, 2, 36)
    assert cost.speed_up == pytest.approx(102 / 36)
    assert cost.efficiency == pytest.approx((102 / 36) / (3000 / 900))
    assert cost.realised_rate == pytest.approx(0.7)


def test_a_result_without_scoring_seconds_has_none():
    cost = cost_of([made(seconds={"total": 4.0, "train": 3.0, "select": 0.5, "evaluate": 0.5})], [])
    assert (cost.score, cost.seconds) == (0, 3.5)


def test_what_a_score_was_trained_with_comes_on_top_of_the_budget():
    full, runs = [made("full", 0, 0)], [made("el2n", 0.7, 0, samples_backward_scoring=300, seconds=seconds(1, 2, 0))]
    cost = cost_of(runs, full)
    assert (cost.samples_backward, cost.samples_backward_scoring, cost.samples_trained) == (900, 300, 1200)
    assert cost.efficiency == pytest.approx(3.01 / 3 * 0.3)
    check_budgets([*comparison(), *runs])


def test_no_speed_up_without_full_or_across_machines():
    here, there = made("full", 0, 0), made("full", 0, 0, device="another machine")
    for runs, full in ([made()], []), ([made()], [there]), ([made(), made(seed=1, device="a third")], [here]):
        cost = cost_of(runs, full)
        assert (cost.speed_up, cost.efficiency) == (None, None)
    assert cost_of([made()], [here]).speed_up is not None


def test_own_budgets_are_those_of_policies_whose_size_depends_on_scores():
    assert {name for name in REGISTRY if own_budget(name)} >= {"infobatch-published"}
    assert own_budget("emp:beta=2:rate=auto")
    assert not own_budget("emp:rate=auto-target")
    for policy in ("full", "short", "random", "infobatch", "emp", "emp:beta=2", "el2n", "mine"):
        assert not own_budget(policy)
    assert own_budget("infobatch-published:below_share=0.5")


def test_different_budgets_are_refused():
    results = [*comparison(), made("infobatch", 0.7, 0, samples_backward=1000)]
    with pytest.raises(ArgumentError, match=r"infobatch.*is 1000; allowed: 900, as random.*cannot be ranked") as caught:
        check_budgets(results)
    assert caught.value.value == 1000


def test_budgets_may_differ_between_rates_and_settings_and_for_full_and_own_ones():
    other = [made(label_noise=0.2, samples_backward=1), made(imbalance=10.0, samples_backward=2)]
    check_budgets([*comparison(), *other, made_own("infobatch-published", 0.7, 0)])


def test_forward_passes_are_no_budget():
    check_budgets([*comparison(), made("divbs", 0.7, 0, samples_forward=4000)])
