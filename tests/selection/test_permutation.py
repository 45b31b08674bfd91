"""An epoch's random order: a permutation, known place by place, that does not lean to any side."""

from __future__ import annotations

import numpy as np
import pytest

import emprune.selection.permutation
from emprune.selection.permutation import LARGE, order


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


@pytest.mark.parametrize("k", [1, 2, 1000, LARGE, LARGE + 1, 3 * LARGE // 2])
def test_every_sample_has_one_place(k: int) -> None:
    whole = order(k, rng())
    assert np.array_equal(np.sort(whole), np.arange(k))
    places = np.array([0, k // 3, k - 1])
    assert np.array_equal(order(k, rng(), places), whole[places])


def test_a_few_samples_are_shuffled_as_numpy_does() -> None:
    assert np.array_equal(order(1000, rng(3)), rng(3).permutation(1000))


@pytest.mark.parametrize("k", [64, 97])
def test_computed_orders_are_uniform(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sample at each place equally often, and each pair of neighbours too, by χ² over many seeds.

    At a size far below those that it is for: of a handful of samples it would not reach every order.
    """
    monkeypatch.setattr(emprune.selection.permutation, "LARGE", 1)
    runs = 4000
    at, after = np.zeros((k, k)), np.zeros((k, k))
    for seed in range(runs):
        found = order(k, rng(seed))
        at[np.arange(k), found] += 1
        after[found[:-1], found[1:]] += 1
    expected = runs / k
    chi = ((at - expected) ** 2 / expected).sum()
    freedom = (k - 1) ** 2
    assert chi < freedom + 5 * np.sqrt(2 * freedom)
    pairs = after[~np.eye(k, dtype=bool)]
    expected = runs / k
    assert ((pairs - expected) ** 2 / expected).sum() < k * (k - 1) + 5 * np.sqrt(2 * k * (k - 1))


def test_wide_numbers_take_the_wide_way() -> None:
    """Beyond 2³² samples; only a few places are computed."""
    k = 2**33 + 7
    places = np.array([0, 1, 2**32 + 1, k - 1])
    found = order(k, rng(), places)
    assert len(set(found.tolist())) == 4
    assert (found < k).all()
    assert (found > 2**32).any()
