"""The probability of being taken by rule "sample", beside how often it takes a sample."""

from __future__ import annotations

import numpy as np
import pytest

from emprune.selection import sample
from emprune.selection.inclusion import inclusion, log_rate


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("k", [1, 7, 250, 499])
def test_probabilities_add_up_to_k(k: int) -> None:
    weights = rng().gamma(0.5, size=500).astype(np.float32) + np.float32(1e-6)
    taken = inclusion(log_rate(weights, k, rng()) + np.log(weights))
    assert taken.sum() == pytest.approx(k, rel=1e-3)
    assert (np.diff(taken[np.argsort(weights)]) >= 0).all()


@pytest.mark.parametrize("k", [1, 50, 99])
def test_weights_of_very_unlike_sizes(k: int) -> None:
    scores = np.geomspace(1e-30, 1e30, 100).astype(np.float32)
    taken = inclusion(log_rate(scores, k, rng(), gamma=2.0) + 2.0 * np.log(scores.astype(np.float64)))
    assert taken.sum() == pytest.approx(k, abs=0.3)


def test_samples_without_a_score_do_not_count() -> None:
    scores = np.array([0, 1, 2, np.nan, 3, 4], dtype=np.float32)
    assert log_rate(scores, 2, rng()) == log_rate(scores[[1, 2, 4, 5]], 2, rng())


def test_nothing_and_everything_have_their_own_rates() -> None:
    weights = np.array([1, 2, 3], dtype=np.float32)
    assert inclusion(log_rate(weights, 0, rng()) + np.log(weights)).tolist() == [0, 0, 0]
    assert inclusion(log_rate(weights, 3, rng()) + np.log(weights)).tolist() == [1, 1, 1]


def test_it_is_how_often_the_rule_takes_a_sample() -> None:
    scores = np.geomspace(0.01, 10, 60).astype(np.float32)
    gamma, k, draws = 1.5, 20, 4000
    expected = inclusion(log_rate(scores, k, rng(), gamma=gamma) + gamma * np.log(scores))
    generator, counts = rng(), np.zeros(60)
    for _ in range(draws):
        counts[sample(scores, k, generator, gamma=gamma).ids] += 1
    error = np.sqrt(expected * (1 - expected) / draws)
    # Four standard errors of the counts, and what the rule differs by for so few samples.
    assert (np.abs(counts / draws - expected) < 4 * error + 0.015).all()


def test_of_many_weights_a_part_is_looked_at() -> None:
    weights = rng().gamma(0.5, size=400_000).astype(np.float32) + np.float32(1e-6)
    taken = inclusion(log_rate(weights, 40_000, rng()) + np.log(weights))
    assert taken.sum() == pytest.approx(40_000, rel=0.03)
