"""SeTa against a naive loop whose clusters are plain to see; its k-means against all partitions and scikit-learn."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cases import DENORMAL, HUGE, table_of
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from emprune import ArgumentError, IdBatches, Policy, Pruner, Request
from emprune.epoch.plan import make_plan
from emprune.policies.seta import SeTa, SeTaPublished, easy_to_hard

SIZE, EPOCHS = 400, 24
SETTINGS = {"groups": 5, "window": 0.4, "anneal": 0.125}


def level(sample: int, epoch: int) -> int:
    """0 to 4, easy ones more often; another one in each epoch."""
    return [0, 0, 0, 1, 1, 2, 3, 4][np.random.default_rng([sample, epoch]).integers(8)]


def loss_at(sample: int, epoch: int) -> float:
    return 0.1 + level(sample, epoch) + 0.001 * (sample % 10)


def train(pruner: Pruner, seen: Callable[[int, list[int]], None], until: int = EPOCHS) -> None:
    while pruner.epoch < until:
        trained = []
        for ids in IdBatches(pruner, 16):
            pruner.loss(ids, torch.tensor([loss_at(i, pruner.epoch) for i in ids.tolist()]))
            trained += ids.tolist()
        seen(pruner.epoch, trained)
        pruner.end_epoch()


@pytest.mark.parametrize(("rate", "widened"), [(0.5, True), (0.9, False)])
def test_a_run_is_the_naive_loop(rate: float, widened: bool) -> None:
    levels = dict.fromkeys(range(SIZE), 0)
    k, ran_out = round((1 - rate) * SIZE), 0

    def compare(epoch: int, trained: list[int]) -> None:
        nonlocal ran_out
        assert len(trained) == (k if epoch else SIZE)
        if 0 < epoch < EPOCHS - 3:
            assert set(levels.values()) == {0, 1, 2, 3, 4}
            start = epoch % 4  # two of five groups: four places
            away = {i: max(start - at, at - start - 1, 0) for i, at in levels.items()}
            for distance in range(5):
                group = {i for i in away if away[i] == distance}
                nearer = sum(away[i] < distance for i in away)
                assert len(group & set(trained)) == min(max(k - nearer, 0), len(group))
            ran_out += max(away[i] for i in trained) > 0
        levels.update({i: level(i, epoch) for i in trained})

    train(Pruner(SIZE, SeTa(**SETTINGS), prune_rate=rate, num_epochs=EPOCHS, warmup_epochs=1), compare)
    assert (ran_out > 3) == widened


def test_as_published_the_window_cuts_the_pool() -> None:
    levels, sizes = dict.fromkeys(range(SIZE), 0), []

    def compare(epoch: int, trained: list[int]) -> None:
        if 0 < epoch < EPOCHS - 3:
            inside = {i for i, at in levels.items() if at in (epoch % 4, epoch % 4 + 1)}
            assert set(trained) <= inside
            assert len(trained) == pytest.approx(0.8 * len(inside), abs=4 * (0.16 * len(inside)) ** 0.5)
        elif epoch:
            assert len(trained) == 320  # partial annealing: the pool, whole
        sizes.append(len(trained))
        levels.update({i: level(i, epoch) for i in trained})

    train(Pruner(SIZE, SeTaPublished(**SETTINGS), prune_rate=0.2, num_epochs=EPOCHS, warmup_epochs=1), compare)
    assert len(set(sizes[1:-3])) > 5


def subsets(policy: Policy, loss: np.ndarray, k: int, epochs: list[int], num_epochs: int) -> list[set[int]]:
    table = table_of(loss)
    return [set(make_plan(policy, Request(table, k, e, num_epochs, 0)).ids.tolist()) for e in epochs]


def test_the_window_slides_from_easy_to_hard_until_the_annealing() -> None:
    loss = np.repeat([0.0, 1.0, 2.0, 3.0, 4.0], 4)
    drawn = subsets(SeTa(**SETTINGS), loss, 8, [1, 2, 3, 4, 5, 6, 7], 8)
    assert drawn[:6] == [set(range(4 * start, 4 * start + 8)) for start in [1, 2, 3, 0, 1, 2]]
    assert drawn[6] != set(range(12, 20))  # δ = 1/8: the last epoch is uniform


@pytest.mark.parametrize("policy", [SeTa(**SETTINGS), SeTaPublished(**SETTINGS)])
def test_the_first_epoch_and_the_last_ones_are_uniform(policy: Policy) -> None:
    loss = np.repeat([0.0, 1.0, 2.0, 3.0, 4.0], 4)
    assert len(subsets(policy, loss, 10, [0], 8000)[0]) == 10
    counts = Counter(i for subset in subsets(policy, loss, 10, list(range(7000, 8000)), 8000) for i in subset)
    assert sum(counts.values()) == 10 * 1000
    assert all(counts[i] == pytest.approx(500, abs=75) for i in range(20))


def test_unseen_samples_have_the_mean_loss_and_quarantined_ones_are_last() -> None:
    loss = np.array([0.0, 0.1, 4.0, 4.1, np.inf, np.inf, np.nan])  # mean 2.05: groups {0, 1}, {4, 5}, {2, 3}
    policy = SeTa(groups=3, window=0.3, anneal=0.0)
    assert subsets(policy, loss, 2, [1, 2, 3], 9) == [{4, 5}, {2, 3}, {0, 1}]
    assert subsets(policy, loss, 6, [1, 2, 3], 9) == [{0, 1, 2, 3, 4, 5}] * 3
    assert subsets(policy, np.full(4, np.inf), 2, [1], 9)[0] < set(range(4))
    assert len(subsets(policy, np.full(4, np.nan), 2, [1], 9)[0]) == 2


def test_equal_losses_are_one_group() -> None:
    drawn = subsets(SeTa(), np.full(12, 0.5), 4, list(range(1, 8)), 9)
    assert {len(subset) for subset in drawn} == {4}
    assert len({frozenset(subset) for subset in drawn}) > 3


@pytest.mark.parametrize("policy", [SeTa(groups=6, window=0.5), SeTaPublished(groups=6, window=0.5)])
def test_state_goes_on_in_mid_run(policy: Policy) -> None:
    whole: dict[int, list[int]] = {}
    train(Pruner(SIZE, policy, prune_rate=0.6, num_epochs=EPOCHS), whole.__setitem__)
    first, second = (Pruner(SIZE, policy, prune_rate=0.6, num_epochs=EPOCHS) for _ in range(2))
    train(first, lambda epoch, trained: None, until=11)
    second.load_state_dict(first.state_dict())
    halves: dict[int, list[int]] = {}
    train(second, halves.__setitem__)
    assert halves == {e: whole[e] for e in range(11, EPOCHS)}


def spread(losses: np.ndarray, group: np.ndarray) -> float:
    """Sum of squared distances to the groups' means."""
    return float(sum(((part - part.mean()) ** 2).sum() for part in (losses[group == g] for g in set(group.tolist()))))


@pytest.mark.parametrize("seed", range(30))
def test_clusters_of_few_losses_are_nearly_the_best_of_all_partitions(seed: int) -> None:
    losses = np.random.default_rng(seed).gamma(0.5, size=11).astype(np.float32)
    order = np.argsort(losses)
    best = np.inf
    for cuts in itertools.combinations(range(1, 11), 2):
        group = np.empty(11, dtype=int)
        group[order] = np.searchsorted(cuts, np.arange(11), side="right")
        best = min(best, spread(losses.astype(float), group))
    found = easy_to_hard(losses, 3, np.random.default_rng(0))
    assert spread(losses.astype(float), found) <= 1.5 * best
    assert sorted(found[order].tolist()) == found[order].tolist()


def test_clusters_of_many_losses_are_as_tight_as_those_of_scikit_learn() -> None:
    losses = np.random.default_rng(3).gamma(0.5, size=20_000).astype(np.float32)
    other = KMeans(10, n_init=5, random_state=0).fit(losses[:, None].astype(float)).inertia_
    group = easy_to_hard(losses, 10, np.random.default_rng(0))
    assert len(set(group.tolist())) == 10
    assert spread(losses.astype(float), group) <= 1.05 * other


@given(
    values=st.lists(st.sampled_from([0.0, 1.0, 1.0000001, 2.5, HUGE, -HUGE, DENORMAL]), min_size=1, max_size=30),
    groups=st.integers(1, 12), seed=st.integers(0, 99),
)  # fmt: skip
def test_any_losses_make_groups_in_their_order(values: list[float], groups: int, seed: int) -> None:
    losses = np.array(values, dtype=np.float32)
    found = easy_to_hard(losses, groups, np.random.default_rng(seed))
    assert set(found.tolist()) == set(range(found.max() + 1))
    assert found.max() < groups
    order = np.argsort(losses, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    assert all(len(set(found[losses == value].tolist())) == 1 for value in set(losses.tolist()))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SeTa(groups=0), "groups is 0; allowed: an integer of at least 1"),
        (lambda: SeTa(groups=2.5), "groups is 2.5; allowed: an integer of at least 1"),
        (lambda: SeTa(window=0), r"window is 0; allowed: a number in \(0, 1\]"),
        (lambda: SeTaPublished(window=1.2), r"window is 1.2; allowed: a number in \(0, 1\]"),
        (lambda: SeTa(anneal=-0.1), r"anneal is -0.1; allowed: a number in \[0, 1\]"),
        (lambda: SeTa(anneal=float("nan")), "anneal is nan"),
        (
            lambda: Pruner(9, SeTaPublished(), prune_rate=0.5, num_epochs=2).total_steps(3),
            "policy is 'seta-published'; allowed: a policy with an exact rate",
        ),
    ],
)
def test_settings_that_mean_nothing_are_refused(build: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build()
