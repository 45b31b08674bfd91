"""Every rule keeps exactly k, whatever the scores; what it prefers is checked against a naive reading."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from cases import DENORMAL, HUGE, score_arrays, scores_and_k
from hypothesis import given, settings
from hypothesis import strategies as st

from emprune import ArgumentError, Selection
from emprune.selection import RULES, sample, threshold, threshold_published, top, uniform

Rule = Callable[[np.ndarray, int, np.random.Generator], Selection]
EVERY_RULE: dict[str, Rule] = {
    **RULES,
    "uniform": lambda scores, k, rng: uniform(len(scores), k, rng),
    "sample, gamma 0": lambda scores, k, rng: sample(scores, k, rng, gamma=0.0),
    "sample, gamma 2": lambda scores, k, rng: sample(scores, k, rng, gamma=2.0),
    "sample, gamma max": lambda scores, k, rng: sample(scores, k, rng, gamma=1e300),
    "threshold, all below": lambda scores, k, rng: threshold(scores, k, rng, below_share=1.0, weight_sum="all"),
}


def rng_of(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


@pytest.mark.parametrize("name", EVERY_RULE)
@settings(max_examples=450)
@given(case=scores_and_k(), seed=st.integers(0, 2**32))
def test_every_rule_keeps_exactly_k(name: str, case: tuple[np.ndarray, int], seed: int) -> None:
    scores, k = case
    before = scores.copy()
    selection = EVERY_RULE[name](scores, k, rng_of(seed))
    assert selection.ids.dtype == np.int64
    assert selection.ids.shape == (k,)
    assert len(set(selection.ids.tolist())) == k
    assert set(selection.ids.tolist()) <= set(range(len(scores)))
    assert np.array_equal(scores, before, equal_nan=True)
    again = EVERY_RULE[name](scores, k, rng_of(seed))
    assert np.array_equal(selection.ids, again.ids)
    if selection.weights is not None:
        assert selection.weights.dtype == np.float32
        assert selection.weights.shape == (k,)
        assert np.isfinite(selection.weights).all()
        assert (selection.weights > 0).all()
        assert np.array_equal(selection.weights, again.weights)


@pytest.mark.parametrize("name", EVERY_RULE)
@settings(max_examples=150)
@given(case=scores_and_k())
def test_quarantined_samples_are_taken_only_where_the_rest_does_not_suffice(
    name: str, case: tuple[np.ndarray, int]
) -> None:
    scores, k = case
    if name == "uniform":
        scores = np.where(np.isnan(scores), 0, scores)  # the only rule that looks at no score
    usable = np.count_nonzero(~np.isnan(scores))
    taken = EVERY_RULE[name](scores, k, rng_of(k)).ids
    assert np.count_nonzero(np.isnan(scores[taken])) == max(0, k - usable)


@settings(max_examples=500)
@given(case=scores_and_k())
def test_top_is_the_head_of_a_naive_sort(case: tuple[np.ndarray, int]) -> None:
    scores, k = case
    ranked = sorted(range(len(scores)), key=lambda i: (np.isnan(scores[i]), -scores[i]))
    taken = top(scores, k, rng_of(k)).ids
    assert np.array_equal(np.sort(scores[ranked[:k]]), np.sort(scores[taken]), equal_nan=True)


@pytest.mark.parametrize("name", ["top", "sample"])
def test_unseen_samples_come_first(name: str) -> None:
    scores = np.array([HUGE, np.inf, 1.0, np.inf, np.nan, HUGE], dtype=np.float32)
    for seed in range(50):
        assert set(RULES[name](scores, 2, rng_of(seed)).ids.tolist()) == {1, 3}


@pytest.mark.parametrize("gamma", [0.5, 1.0, 30.0])
@pytest.mark.parametrize(
    "scores", [[0.0, DENORMAL, 0.0, HUGE, 1.0], [-3.0, -2.5, -3.0, HUGE, 0.0], [-HUGE, 0, -HUGE, 1, 2]]
)
def test_sample_draws_zero_or_the_lowest_only_when_nothing_else_is_left(scores: list[float], gamma: float) -> None:
    values = np.array([*scores, np.nan], dtype=np.float32)
    for seed in range(50):
        assert set(sample(values, 3, rng_of(seed), gamma=gamma).ids.tolist()) == {1, 3, 4}
        assert {1, 3, 4} < set(sample(values, 4, rng_of(seed), gamma=gamma).ids.tolist()) < {0, 1, 2, 3, 4}


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_where_scores_are_below_zero_their_distance_to_the_lowest_counts(gamma: float) -> None:
    scores = np.random.default_rng(0).integers(0, 64, 200).astype(np.float32)
    scores[[0, 5, 6]] = 0, np.inf, np.nan
    for seed in range(20):
        expected = sample(scores, 60, rng_of(seed), gamma=gamma).ids
        assert 5 in expected or gamma == 0
        for less in (3, 70, 4096):
            assert np.array_equal(sample(scores - less, 60, rng_of(seed), gamma=gamma).ids, expected)


@pytest.mark.parametrize("name", EVERY_RULE)
def test_another_seed_gives_another_subset(name: str) -> None:
    scores = np.ones(40, dtype=np.float32)  # equal scores: every subset is an answer
    subsets = {tuple(sorted(EVERY_RULE[name](scores, 20, rng_of(seed)).ids.tolist())) for seed in range(20)}
    assert len(subsets) == 20


@pytest.mark.parametrize("k", [0, -1, 4])
@pytest.mark.parametrize("name", EVERY_RULE)
def test_a_k_outside_1_to_n_is_refused(name: str, k: int) -> None:
    with pytest.raises(ArgumentError, match=f"k is {k}; allowed: an integer from 1 to the number of samples, 3"):
        EVERY_RULE[name](np.ones(3, dtype=np.float32), k, rng_of(0))


@pytest.mark.parametrize("name", RULES)
def test_scores_of_another_shape_are_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"scores is 'of shape \(2, 2\)'; allowed: one score a sample"):
        RULES[name](np.ones((2, 2), dtype=np.float32), 1, rng_of(0))


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        (sample, {"gamma": -1.0}, "gamma is -1.0; allowed: a finite number"),
        (sample, {"gamma": float("nan")}, "gamma is nan; allowed: a finite number"),
        (threshold, {"below_share": 0.0}, r"below_share is 0.0; allowed: a number in \(0, 1\]"),
        (threshold, {"weight_sum": "none"}, "weight_sum is 'none'; allowed: 'kept' or 'all'"),
    ],
)
def test_bad_settings_of_a_rule_are_named(rule: Rule, options: dict, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        rule(np.ones(3, dtype=np.float32), 1, rng_of(0), **options)


@settings(max_examples=400)
@given(scores=score_arrays(), rate=st.floats(0, 0.99))
def test_the_published_threshold_keeps_the_upper_part_whole(scores: np.ndarray, rate: float) -> None:
    scores = np.abs(scores)  # sums of huge values of both signs depend on the order of summation
    selection = threshold_published(scores, rate, rng_of(1))
    taken = set(selection.ids.tolist())
    finite = [float(s) for s in scores if np.isfinite(s)]
    mean = np.float32(sum(finite) / len(finite)) if finite else np.float32(0)
    if np.isnan(scores).all():
        assert taken == set(range(len(scores)))
        return
    below = [i for i, s in enumerate(scores) if s < mean]
    above = [i for i, s in enumerate(scores) if not np.isnan(s) and not s < mean]
    draws = max(1, round((1 - rate) * len(below))) if below else 0
    assert len(selection.ids) == len(taken) == len(above) + draws
    assert set(above) <= taken <= set(above) | set(below)
