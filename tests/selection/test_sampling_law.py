"""How often rules draw what: uniform subsets, the law of weighted sampling, unbiased weights."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from scipy.stats import chisquare

from emprune.selection import sample, threshold, threshold_published, top, uniform

# A seed that gives p below this would be one in ten thousand; the seeds are fixed, so the tests cannot flicker.
LEAST_P = 1e-4


def rng_of(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


def assert_uniform(counts: Counter, outcomes: int) -> None:
    assert len(counts) == outcomes
    assert chisquare(list(counts.values())).pvalue > LEAST_P


@pytest.mark.parametrize("k", [1, 3, 5])
def test_uniform_draws_every_subset_equally_often(k: int) -> None:
    counts = Counter(tuple(sorted(uniform(6, k, rng_of(seed)).ids.tolist())) for seed in range(6000))
    assert_uniform(counts, len(list(combinations(range(6), k))))


@pytest.mark.parametrize("size", [5, 60])  # two ways of drawing: many ties among the samples, and few
def test_ties_at_the_boundary_are_broken_uniformly(size: int) -> None:
    scores = np.zeros(size, dtype=np.float32)
    scores[:4], scores[4] = 1.0, 2.0
    counts = Counter(tuple(sorted(top(scores, 3, rng_of(seed)).ids.tolist())) for seed in range(3000))
    assert set(counts) == {(a, b, 4) for a, b in combinations(range(4), 2)}
    assert_uniform(counts, 6)


def exact_inclusion(scores: list[float], k: int) -> np.ndarray:
    """P[i among the first k draws without replacement, probability proportional to what is left]."""
    inclusion = np.zeros(len(scores))
    for sequence in permutations(range(len(scores)), k):
        probability, left = 1.0, sum(scores)
        for i in sequence:
            probability *= scores[i] / left
            left -= scores[i]
        inclusion[list(sequence)] += probability
    return inclusion


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_sample_includes_as_successive_sampling_does(k: int, gamma: float) -> None:
    scores, draws = np.array([0.2, 0.5, 1.0, 2.0, 4.0], dtype=np.float32), 6000
    rng = rng_of(k)
    counts = np.zeros(5)
    for _ in range(draws):
        counts[sample(scores, k, rng, gamma=gamma).ids] += 1
    expected = exact_inclusion((scores.astype(float) ** gamma).tolist(), k)
    sigma = np.sqrt(expected * (1 - expected) / draws)
    assert (np.abs(counts / draws - expected) < 4.5 * sigma).all()


def test_sample_depends_on_ratios_only_also_at_the_ends_of_float32() -> None:
    for factor in (1e-44, 1e-38, 1.0, 5e37):  # 1e-44 is denormal: seven or fourteen times the smallest number
        scores = np.array([1, 2, 4], dtype=np.float64) * factor
        scores = scores.astype(np.float32)
        shares = (scores.astype(float) / scores.astype(float).sum()).tolist()
        counts = Counter(int(sample(scores, 1, rng_of(seed)).ids[0]) for seed in range(3000))
        observed = [counts[i] for i in range(3)]
        assert chisquare(observed, [3000 * share for share in shares]).pvalue > LEAST_P


SCORES = {
    "spread": [0.1, 0.2, 0.3, 0.4, 0.5, 2.0, 3.0],
    "most above the mean": [0.0, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5],
    "ties at the cut": [0.0, 5.0, 5.0, 5.0, 5.0, 5.0, 6.0],
    "two values": [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0],
    "equal": [0.7] * 7,
}


@pytest.mark.parametrize("weight_sum", ["kept", "all"])
@pytest.mark.parametrize("below_share", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("k", [1, 3, 5, 6])
@pytest.mark.parametrize("name", SCORES)
def test_threshold_is_unbiased(name: str, k: int, below_share: float, weight_sum: str) -> None:
    scores = np.array(SCORES[name], dtype=np.float32)
    rng = rng_of(k)
    draw = lambda: threshold(scores, k, rng, below_share=below_share, weight_sum=weight_sum)  # noqa: E731
    weights = enumerate_plans(draw, times=600)
    expected = len(scores) if weight_sum == "all" else k
    sums = [w.sum() for w in weights]
    assert sums == pytest.approx([expected] * len(sums), rel=1e-5)
    # Each plan is equally likely, so the expectation is the plain mean over them.
    assert np.mean(weights, axis=0) == pytest.approx(np.full(7, expected / 7), rel=1e-5)


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("name", SCORES)
def test_the_published_threshold_is_unbiased(name: str, rate: float) -> None:
    scores = np.array(SCORES[name], dtype=np.float32)
    rng = rng_of(5)
    weights = enumerate_plans(lambda: threshold_published(scores, rate, rng), times=600)
    assert np.mean(weights, axis=0) == pytest.approx(np.ones(7), rel=1e-5)


def enumerate_plans(draw, times: int) -> list[np.ndarray]:
    """The weights by sample (0: left out) of every plan that a rule can make, each once.

    Which samples are sure and which are drawn is read off the plans; that all combinations of the drawn
    ones occurred, equally often, is checked, so the list is the whole distribution.
    """
    plans = Counter()
    for _ in range(times):
        selection = draw()
        dense = np.zeros(7, dtype=np.float32)
        dense[selection.ids] = selection.weights
        plans[tuple(dense.tolist())] += 1
    weights = np.array(list(plans))
    sure = (weights > 0).all(axis=0)
    never = (weights == 0).all(axis=0)
    assert not never.any()
    drawn = int((weights[0] > 0).sum() - sure.sum())
    assert len(plans) == len(list(combinations(range(int((~sure).sum())), drawn)))
    if len(plans) > 1:
        assert chisquare(list(plans.values())).pvalue > LEAST_P
    return list(weights)
