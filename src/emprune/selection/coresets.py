"""Coresets: one fixed subset of exactly k samples, from features or from one score a sample.

Pure functions that return int64 ids, distinct, of shape [k]. No matrix of N × N is ever held: beside the
features, shape [N, D], they need two more copies of them and a few values a sample. Herding and k-center
read all features once for each sample chosen, N·D·k products in all; class by class a C-th of that.

Subsets of herding, k-center and moderate are nested and come in the order in which they are chosen: the
first j of k ids are the subset of size j (with ``labels``: up to how the classes' shares are rounded).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emprune.checks import integer, number
from emprune.errors import ArgumentError
from emprune.selection.topk import Floats, Ids, random_subset, smallest


def herding(features: Floats, k: int, *, labels: NDArray[np.integer[Any]] | None = None) -> Ids:
    """Herding: the next sample is the one that keeps the subset's mean nearest to the mean of all.

        x_{t+1} = argmin_x ‖ μ - (x₁ + … + x_t + x)/(t + 1) ‖

    Welling 2009; Chen et al. 2010 (arXiv:1203.3472), who show that their rule x_{t+1} = argmax ⟨w_t, x⟩,
    w_{t+1} = w_t + μ - x_{t+1}, w₀ = μ, minimises this error greedily where all features have one length; the
    error itself is minimised here, whatever the lengths. Departures: a sample is taken once at most; and
    DeepCore's released code takes the sample *farthest* from (t + 1)·μ - Σx, which this does not follow.

    Args:
        features: finite, shape [N, D].
        k: from 1 to N.
        labels: integers, shape [N]; then each class is herded to its own mean with its share of k
            (:func:`class_budgets`), DeepCore's default.

    Returns:
        ids in the order chosen; with labels, the classes in turn.

    Raises:
        ArgumentError: shapes or k do not fit, or a feature is not finite.
    """
    features = _check_features(features, k)
    return _per_class(_herd, features, k, labels)


def k_center(
    features: Floats, k: int, rng: np.random.Generator, *, labels: NDArray[np.integer[Any]] | None = None
) -> Ids:
    """k-center greedy: the next sample is the one farthest from its nearest chosen one.

    Sener & Savarese 2018, arXiv:1708.00489, algorithm 1, with Euclidean distance and, as in DeepCore, one
    sample drawn at random to begin with. Its largest distance is at most twice the best possible one.

    Args:
        features: finite, shape [N, D].
        k: from 1 to N.
        rng: draws the first sample.
        labels: as for :func:`herding`; DeepCore chooses class by class by default, the paper does not.

    Returns:
        As :func:`herding`.

    Raises:
        ArgumentError: as :func:`herding`.
    """
    features = _check_features(features, k)
    return _per_class(lambda part, count: _spread(part, count, int(rng.integers(len(part)))), features, k, labels)


def moderate(
    features: Floats, labels: NDArray[np.integer[Any]], k: int, *, center: Literal["median", "mean"] = "median"
) -> Ids:
    """Moderate coreset: samples whose distance to the centre of their class is in the middle of all distances.

    Xia et al., ICLR 2023: samples are sorted by distance, over all classes together, and the (N - k)/2 at
    either end are left out. Where N - k is odd, one more is left out at the upper end.

    Args:
        features: finite, shape [N, D], Euclidean distance.
        labels: integers, shape [N].
        k: from 1 to N.
        center: of a class, coordinate by coordinate: "median" as in the authors' code, or "mean" as the
            paper is quoted.

    Returns:
        ids from the middle outwards.

    Raises:
        ArgumentError: shapes or k do not fit, a feature is not finite, or the centre is unknown.
    """
    features, classes = _check_features(features, k), _check_labels(labels, len(features))
    if center not in ("median", "mean"):
        raise ArgumentError("center", center, "'median' or 'mean'")
    distances = np.empty(len(features), dtype=np.float32)
    for of_class in classes:
        own = features[of_class]
        middle = np.median(own, axis=0) if center == "median" else own.mean(axis=0, dtype=np.float64)
        distances[of_class] = np.linalg.norm(own - middle.astype(np.float32), axis=1)
    # Ranks by how far they are from the middle one; of two as far, the lower first, so that windows nest.
    ranks = np.arange(len(distances))
    outwards = np.argsort(np.abs(2 * ranks - (len(ranks) - 1)), kind="stable")
    return np.argsort(distances, kind="stable")[outwards[:k]]


def ccs(scores: Floats, k: int, rng: np.random.Generator, *, cutoff: float, strata: int = 50) -> Ids:
    """Coverage-centric selection: cut off the hardest, then sample the range of scores evenly.

    Zheng et al. 2023, arXiv:2210.15809, algorithm 1. The ⌊cutoff·N⌋ highest scores are left out (β, against
    wrong labels). The rest is put into strata of equal width between its lowest and its highest score; from
    the smallest stratum to the largest each gets min(its size, ⌊what is left of k / strata left⌋), drawn at
    random. The paper tunes β for each rate. In the authors' code the cut is always by area under the margin,
    whatever the scores of the strata; here it is by these scores.

    Args:
        scores: finite, shape [N], higher means harder.
        k: from 1 to N - ⌊cutoff·N⌋.
        rng: draws in the strata, and among equal scores at the cut.
        cutoff: β in [0, 1).
        strata: how many, at least 1; 50 in the authors' code.

    Raises:
        ArgumentError: a value is out of range, a score is not finite, or the cut leaves fewer than k.
    """
    scores = np.asarray(scores, dtype=np.float32)
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise ArgumentError("scores", f"of shape {scores.shape}", "one finite score a sample, shape [N]")
    _check_k(k, len(scores))
    cutoff, strata = check_ccs(cutoff, strata)
    left = len(scores) - int(cutoff * len(scores))
    if k > left:
        raise ArgumentError("cutoff", cutoff, f"at most {1 - k / len(scores):.4g} where {k} of {len(scores)} stay")
    kept = smallest(scores, left, rng)
    values = scores[kept].astype(np.float64)
    edges = np.linspace(values.min(), values.max(), strata + 1)
    stratum = np.searchsorted(edges[1:-1], values, side="right")
    budgets = even_budgets(np.bincount(stratum, minlength=strata), k)
    drawn = [random_subset(stratum == i, int(budget), rng) for i, budget in enumerate(budgets) if budget]
    return kept[np.concatenate(drawn)]


def even_budgets(sizes: NDArray[np.integer[Any]], k: int) -> Ids:
    """Spread k over strata: from the smallest up, each gets min(its size, ⌊what is left / strata left⌋).

    Args:
        sizes: int, shape [S].
        k: at most their sum, which the budgets then add up to.

    Returns:
        int64, shape [S].

    >>> even_budgets(np.array([1, 10, 4]), 9).tolist()
    [1, 4, 4]
    """
    budgets = np.zeros(len(sizes), dtype=np.int64)
    for done, i in enumerate(np.argsort(sizes, kind="stable")):
        budgets[i] = min(int(sizes[i]), k // (len(sizes) - done))
        k -= int(budgets[i])
    return budgets


def class_budgets(counts: NDArray[np.integer[Any]], k: int) -> Ids:
    """Shares of k in proportion to class sizes, exact in sum: what rounding down leaves goes to the largest rests.

    DeepCore rounds each class by itself, so that its subsets may miss k by a few.

    Args:
        counts: int, shape [C], class sizes.
        k: at most their sum.

    Returns:
        int64, shape [C].

    >>> class_budgets(np.array([5, 3, 2]), 5).tolist()
    [3, 1, 1]
    """
    exact = np.asarray(counts, dtype=np.int64) * k
    total = int(np.sum(counts))
    budgets = exact // total
    rest = np.argsort(-(exact % total), kind="stable")[: k - int(budgets.sum())]
    budgets[rest] += 1
    return budgets


def check_ccs(cutoff: float, strata: int) -> tuple[float, int]:
    """The settings of :func:`ccs` as Python's numbers. Raise ArgumentError unless they suit it."""
    allowed = "a number in [0, 1), the fraction of hardest samples left out"
    return number("cutoff", cutoff, allowed, lambda value: 0 <= value < 1), integer("strata", strata, 1)


def _herd(features: Floats, k: int) -> Ids:
    # Around the mean the rule is: bring the sum of the chosen nearest to zero.
    centred = _centred(features)
    half_squares = np.einsum("nd,nd->n", centred, centred) / 2
    total = np.zeros(centred.shape[1])
    ids = np.empty(k, dtype=np.int64)
    for step in range(k):
        ids[step] = np.argmin(centred @ total.astype(np.float32) + half_squares)
        total += centred[ids[step]]
        half_squares[ids[step]] = np.inf  # taken
    return ids


def _spread(features: Floats, k: int, first: int) -> Ids:
    centred = _centred(features)
    squares = np.einsum("nd,nd->n", centred, centred)
    nearest = np.full(len(centred), np.inf, dtype=np.float32)
    ids = np.empty(k, dtype=np.int64)
    for step in range(k):
        ids[step] = chosen = first if step == 0 else int(np.argmax(nearest))
        distances = np.maximum(squares - 2 * (centred @ centred[chosen]) + squares[chosen], 0)
        np.minimum(nearest, distances, out=nearest)
        nearest[chosen] = -np.inf  # taken, also among samples that are equal
    return ids


def _centred(features: Floats) -> Floats:
    """A copy around its mean."""
    centred: Floats = features - features.mean(axis=0, dtype=np.float64).astype(np.float32)
    return centred


def _per_class(
    rule: Callable[[Floats, int], Ids], features: Floats, k: int, labels: NDArray[np.integer[Any]] | None
) -> Ids:
    """Apply a rule to each class with its share of k; the classes' choices are interleaved evenly."""
    if labels is None:
        return rule(features, k)
    classes = _check_labels(labels, len(features))
    budgets = class_budgets(np.array([len(of_class) for of_class in classes]), k)
    chosen, places = [], []
    for of_class, budget in zip(classes, budgets.tolist(), strict=True):
        if budget:
            chosen.append(of_class[rule(features[of_class], budget)])
            places.append((np.arange(budget) + 0.5) / budget)
    return np.concatenate(chosen)[np.argsort(np.concatenate(places), kind="stable")]


def _check_features(features: Floats, k: int) -> Floats:
    features = np.ascontiguousarray(features, dtype=np.float32)
    if features.ndim != 2 or not np.isfinite(features).all():
        raise ArgumentError("features", f"of shape {features.shape}", "finite numbers of shape [N, D]")
    _check_k(k, len(features))
    # To one size, which changes no rule, so that no square over- or underflows.
    largest = max(float(features.max(initial=0)), -float(features.min(initial=0)))
    return features / np.float32(largest) if largest else features


def _check_labels(labels: NDArray[np.integer[Any]], num_samples: int) -> list[Ids]:
    """The ids of each class that occurs, in the order of the labels."""
    labels = np.asarray(labels)
    if labels.shape != (num_samples,) or labels.dtype.kind not in "iu":
        raise ArgumentError("labels", f"{labels.dtype} of shape {labels.shape}", f"integers of shape [{num_samples}]")
    order = np.argsort(labels, kind="stable")
    _, begins = np.unique(labels[order], return_index=True)
    return np.split(order, begins[1:])


def _check_k(k: int, num_samples: int) -> None:
    if not 1 <= k <= num_samples:
        raise ArgumentError("k", k, f"an integer from 1 to the number of samples, {num_samples}")
