"""Coresets against naive loops in float64, and by what holds for every one: k distinct ids, shares, nesting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emprune import ArgumentError
from emprune.selection.coresets import ccs, class_budgets, even_budgets, herding, k_center, moderate


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def points(seed: int, size: int, dimensions: int = 3, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(size, dimensions)) + shift).astype(np.float32)


def distance(a, b) -> float:
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


def herding_errors(features: np.ndarray, chosen: list[int]) -> dict[int, float]:
    """How far the subset's mean would be from the mean of all, by the sample that is taken next."""
    rows = features.astype(np.float64)
    return {
        i: distance(rows.mean(axis=0), sum((rows[j] for j in chosen), rows[i]) / (len(chosen) + 1))
        for i in range(len(rows))
        if i not in chosen
    }


def gaps(features: np.ndarray, chosen: list[int]) -> dict[int, float]:
    """How far each sample that is left is from its nearest chosen one."""
    left = [i for i in range(len(features)) if i not in chosen]
    return {i: min(distance(features[i], features[j]) for j in chosen) for i in left}


def check_herding(features: np.ndarray, ids: list[int]) -> None:
    for step, taken in enumerate(ids):
        errors = herding_errors(features, ids[:step])
        assert errors[taken] <= min(errors.values()) + 1e-4  # of equal ones either


def check_k_center(features: np.ndarray, ids: list[int]) -> None:
    for step, taken in enumerate(ids[1:], start=1):
        found = gaps(features, ids[:step])
        assert found[taken] >= max(found.values()) - 1e-4


def naive_distances(features: np.ndarray, labels: np.ndarray, center: str) -> list[float]:
    distances = []
    for i in range(len(features)):
        own = [features[j].astype(np.float64) for j in range(len(features)) if labels[j] == labels[i]]
        middle = [np.median([row[d] for row in own]) for d in range(features.shape[1])]
        distances.append(distance(features[i], sum(own) / len(own) if center == "mean" else middle))
    return distances


SIZES = given(seed=st.integers(0, 2**32), size=st.integers(1, 14), part=st.integers(0, 10**4))


@SIZES
def test_herding_minimises_the_error_of_the_mean_step_by_step(seed: int, size: int, part: int) -> None:
    features, k = points(seed, size, shift=5.0), 1 + part % size
    ids = herding(features, k)
    assert ids.dtype == np.int64
    assert len(set(ids.tolist())) == k
    check_herding(features, ids.tolist())


def test_herding_comes_nearer_to_the_mean_than_random_subsets() -> None:
    features = points(1, 400, 16)
    mean = features.mean(axis=0)
    chosen = distance(features[herding(features, 40)].mean(axis=0), mean)
    random = [distance(features[rng().permutation(400)[:40]].mean(axis=0), mean) for _ in range(20)]
    assert chosen < 0.2 * min(random)


@SIZES
def test_k_center_takes_the_farthest_step_by_step(seed: int, size: int, part: int) -> None:
    features, k = points(seed, size, shift=5.0), 1 + part % size
    ids = k_center(features, k, rng())
    assert ids.dtype == np.int64
    assert len(set(ids.tolist())) == k
    check_k_center(features, ids.tolist())


def test_k_center_begins_at_random_and_repeats_with_its_generator() -> None:
    features = points(0, 30)
    begins = {int(k_center(features, 3, np.random.default_rng(seed))[0]) for seed in range(40)}
    assert len(begins) > 10
    assert k_center(features, 9, rng()).tolist() == k_center(features, 9, rng()).tolist()


@pytest.mark.parametrize("center", ["median", "mean"])
@SIZES
def test_moderate_takes_the_middle_distances(center: str, seed: int, size: int, part: int) -> None:
    features, k = points(seed, size), 1 + part % size
    labels = np.random.default_rng(seed).integers(0, 3, size) * 7 - 7
    ids = moderate(features, labels, k, center=center)
    assert ids.dtype == np.int64
    assert len(set(ids.tolist())) == len(ids) == k
    distances = naive_distances(features, labels, center)
    left_out = (size - k) // 2
    middle = sorted(distances)[left_out : left_out + k]  # ids of equal distances may differ, the distances not
    assert sorted(distances[i] for i in ids) == pytest.approx(middle, abs=1e-5)


def test_moderate_by_hand() -> None:
    features = np.array([[0.0], [1.0], [2.0], [4.0], [9.0], [100.0], [100.0], [103.0]], dtype=np.float32)
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1])  # centres 2 and 100; distances 2 1 0 2 7 0 0 3
    assert set(moderate(features, labels, 4).tolist()) == {1, 0, 3, 6}
    # Means are 3.2 and 101: distances 3.2 2.2 1.2 0.8 5.8 1 1 2.
    assert set(moderate(features, labels, 2, center="mean").tolist()) == {2, 7}


def naive_budgets(sizes: list[int], k: int) -> list[int]:
    """Algorithm 1 of the paper: while strata are left, take the smallest and give it its part."""
    left, budgets = dict(enumerate(sizes)), [0] * len(sizes)
    while left:
        smallest = min(left, key=lambda i: (left[i], i))
        budgets[smallest] = min(left[smallest], (k - sum(budgets)) // len(left))
        del left[smallest]
    return budgets


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8), st.integers(0, 10**4))
def test_budgets_of_strata_are_those_of_the_algorithm_and_exact(sizes: list[int], part: int) -> None:
    k = part % (sum(sizes) + 1)
    budgets = even_budgets(np.array(sizes), k).tolist()
    assert budgets == naive_budgets(sizes, k)
    assert sum(budgets) == k
    assert all(budget <= size for budget, size in zip(budgets, sizes, strict=True))


@given(
    seed=st.integers(0, 2**32), size=st.integers(1, 60), part=st.integers(0, 10**4),
    cutoff=st.sampled_from([0.0, 0.1, 0.3, 0.9]), strata=st.sampled_from([1, 2, 5, 50]), whole=st.booleans(),
)  # fmt: skip
def test_ccs_cuts_and_fills_each_stratum(
    seed: int, size: int, part: int, cutoff: float, strata: int, whole: bool
) -> None:
    draw = np.random.default_rng(seed)
    scores = (draw.integers(0, 4, size) if whole else draw.normal(size=size)).astype(np.float32)
    kept = sorted(scores.tolist())[: size - int(cutoff * size)]
    k = 1 + part % len(kept)
    ids = ccs(scores, k, draw, cutoff=cutoff, strata=strata)
    assert ids.dtype == np.int64
    assert len(set(ids.tolist())) == len(ids) == k
    assert max(scores[ids]) <= kept[-1]

    def stratum(score: float) -> int:
        low, high = kept[0], kept[-1]
        edges = [low + (high - low) * i / strata for i in range(strata + 1)]
        return max(i for i in range(strata) if i == 0 or edges[i] <= score)

    sizes = np.bincount([stratum(score) for score in kept], minlength=strata)
    found = np.bincount([stratum(score) for score in scores[ids].tolist()], minlength=strata)
    assert found.tolist() == naive_budgets(sizes.tolist(), k)


def test_ccs_draws_within_strata_and_at_the_cut_at_random() -> None:
    scores = np.zeros(12, dtype=np.float32)
    subsets = {tuple(sorted(ccs(scores, 3, np.random.default_rng(i), cutoff=0.5).tolist())) for i in range(300)}
    assert len(subsets) > 100
    assert {i for subset in subsets for i in subset} == set(range(12))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(0, 10**4))
def test_class_shares_are_proportional_and_exact(counts: list[int], part: int) -> None:
    k = part % (sum(counts) + 1)
    shares = class_budgets(np.array(counts), k).tolist()
    assert sum(shares) == k
    for share, count in zip(shares, counts, strict=True):
        assert math.floor(k * count / sum(counts)) <= share <= min(count, math.ceil(k * count / sum(counts)))


def by_class(name: str, features: np.ndarray, k: int, labels: np.ndarray) -> np.ndarray:
    return herding(features, k, labels=labels) if name == "herding" else k_center(features, k, rng(), labels=labels)


@pytest.mark.parametrize("name", ["herding", "k_center"])
@given(seed=st.integers(0, 2**32), size=st.integers(1, 20), part=st.integers(0, 10**4))
def test_by_class_each_has_its_share_chosen_within_it(name: str, seed: int, size: int, part: int) -> None:
    features, k = points(seed, size), 1 + part % size
    labels = np.random.default_rng(seed).integers(0, 4, size)
    ids = by_class(name, features, k, labels)
    assert len(set(ids.tolist())) == len(ids) == k
    classes, counts = np.unique(labels, return_counts=True)
    for label, share in zip(classes, class_budgets(counts, k).tolist(), strict=True):
        members = np.flatnonzero(labels == label)
        own = [members.tolist().index(i) for i in ids.tolist() if labels[i] == label]
        assert len(own) == share
        (check_herding if name == "herding" else check_k_center)(features[members], own)


@pytest.mark.parametrize("name", ["herding", "k_center"])
def test_by_class_the_first_ids_are_balanced_too(name: str) -> None:
    labels = np.repeat([3, 1, 8], [60, 30, 10])
    ids = by_class(name, points(0, 100), 50, labels)
    for j in range(10, 51, 10):
        found = {label: int((labels[ids[:j]] == label).sum()) for label in (3, 1, 8)}
        for label, share in ((3, 0.6), (1, 0.3), (8, 0.1)):
            assert abs(found[label] - share * j) <= 1


ALL = {
    "herding": lambda x, k: herding(x, k),
    "k_center": lambda x, k: k_center(x, k, rng()),
    "moderate": lambda x, k: moderate(x, np.arange(len(x)) % 2, k),
    "ccs": lambda x, k: ccs(x[:, 0], k, rng(), cutoff=0.0),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", ["random", "equal", "zero", "huge", "tiny", "far from zero"])
def test_exactly_k_distinct_ids_whatever_the_features(name: str, kind: str) -> None:
    features = {
        "random": points(0, 17), "equal": np.ones((17, 3), dtype=np.float32),
        "zero": np.zeros((17, 3), dtype=np.float32), "huge": points(0, 17) * np.float32(1e38),
        "tiny": points(0, 17) * np.float32(1e-44), "far from zero": points(0, 17, shift=1e6),
    }[kind]  # fmt: skip
    before = features.copy()
    for k in range(1, 18):
        ids = ALL[name](features, k)
        assert ids.dtype == np.int64
        assert len(ids) == len(set(ids.tolist())) == k
        assert ids.min() >= 0
        assert ids.max() < 17
    assert np.array_equal(features, before)


@pytest.mark.parametrize("name", ["herding", "k_center", "moderate"])
def test_smaller_subsets_are_the_beginning_of_larger_ones(name: str) -> None:
    features = points(2, 21)
    largest = ALL[name](features, 21).tolist()
    for k in range(1, 21):
        assert ALL[name](features, k).tolist() == largest[:k]


LABELS = np.zeros(5, dtype=np.int64)
X = points(0, 5)
BAD = np.array([[0.0], [np.nan]], dtype=np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: herding(X, 0), "k is 0; allowed: an integer from 1 to the number of samples, 5"),
        (lambda: k_center(X, 6, rng()), "k is 6; allowed: .*5"),
        (lambda: moderate(X, LABELS, 6), "k is 6"),
        (lambda: ccs(X[:, 0], 6, rng(), cutoff=0), "k is 6"),
        (lambda: herding(X[:, 0], 1), r"features is 'of shape \(5,\)'; allowed: finite numbers of shape \[N, D\]"),
        (lambda: k_center(BAD, 1, rng()), "features is .*finite"),
        (lambda: moderate(BAD, LABELS[:2], 1), "features is .*finite"),
        (lambda: ccs(BAD[:, 0], 1, rng(), cutoff=0), "scores is .*one finite score a sample"),
        (lambda: herding(X, 1, labels=LABELS[:3]), r"labels is 'int64 of shape \(3,\)'; allowed: .*\[5\]"),
        (lambda: moderate(X, LABELS.astype(float), 1), "labels is 'float64"),
        (lambda: moderate(X, LABELS, 1, center="mode"), "center is 'mode'; allowed: 'median' or 'mean'"),
        (lambda: ccs(X[:, 0], 1, rng(), cutoff=1.0), r"cutoff is 1.0; allowed: a number in \[0, 1\)"),
        (lambda: ccs(X[:, 0], 1, rng(), cutoff=0.1, strata=0), "strata is 0; allowed: an integer of at least 1"),
        (lambda: ccs(X[:, 0], 4, rng(), cutoff=0.5), "cutoff is 0.5; allowed: at most 0.2 where 4 of 5 stay"),
    ],
)
def test_bad_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
