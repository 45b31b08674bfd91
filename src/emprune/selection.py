"""Selection rules: pure functions from scores to a subset of exactly k samples.

Every rule takes ``scores`` (float32, shape [N], higher means more worth training), ``k`` (1 ≤ k ≤ N) and
a numpy generator, and returns a :class:`Selection` of exactly k distinct ids. Special scores mean the
same in all of them:

- ``+inf``: ahead of all others (a sample never seen); the threshold rules count it as the mean;
- ``NaN``: behind all others (a quarantined sample), taken only where the rest does not suffice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emprune.errors import ArgumentError

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Selection:
    """What a rule returns.

    Attributes:
        ids: int64, shape [k], distinct dataset positions, in no particular order.
        weights: float32, shape [k], factor of each sample's loss; None stands for ones.
    """

    ids: Ids
    weights: Floats | None = None


def uniform(num_samples: int, k: int, rng: np.random.Generator) -> Selection:
    """k of N samples, every subset equally likely."""
    _check_k(k, num_samples)
    return Selection(_random_subset(np.arange(num_samples, dtype=np.int64), k, rng))


def top(scores: Floats, k: int, rng: np.random.Generator) -> Selection:
    """The k highest scores; ties at the boundary are broken at random.

    >>> top(np.array([3, 1, 2, 2.5], dtype=np.float32), 2, np.random.default_rng(0)).ids.tolist()
    [0, 3]
    """
    scores = _check(scores, k)
    return Selection(_smallest(-scores, k, rng))


def sample(scores: Floats, k: int, rng: np.random.Generator, *, gamma: float = 1.0) -> Selection:
    """k samples without replacement, probability proportional to score^γ at each draw.

    The k smallest of E_i / score_i^γ with E_i ~ Exp(1) (Efraimidis & Spirakis 2006), compared as
    logarithms so that no power over- or underflows. Scores below zero count as zero, and zero is drawn
    only when nothing else is left (for γ > 0).

    Args:
        scores: float32, shape [N], at least 0.
        gamma: γ ≥ 0; 0 is uniform, large is `top`.
    """
    scores = _check(scores, k)
    if not 0 <= gamma < np.inf:
        raise ArgumentError("gamma", gamma, "a finite number of at least 0")
    keys = rng.standard_exponential(len(scores), dtype=np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.log(keys, out=keys)
        if gamma == 0:
            keys[np.isnan(scores)] = np.nan
        else:
            log_scores = np.log(np.maximum(scores, np.float32(0)))
            log_scores *= np.float32(gamma)
            keys -= log_scores
    return Selection(_smallest(keys, k, rng))


def threshold(
    scores: Floats,
    k: int,
    rng: np.random.Generator,
    *,
    below_share: float = 0.5,
    weight_sum: Literal["kept", "all"] = "kept",
) -> Selection:
    """InfoBatch's idea at an exact rate: keep what is above a threshold, a random part of the rest, reweighted.

    The threshold is the mean score, as published (Qin et al., arXiv:2303.04947, section 3), unless more
    than (1 - below_share)·k samples lie above it: then it rises until below_share·k places are left for
    the rest. The m samples drawn from the B below carry the weight B/m, so Σ w·L over the plan equals ΣL
    over all samples in expectation, whatever the threshold. Departure from the paper: the threshold may
    be higher than the mean, and samples exactly at the mean count as below.

    Args:
        below_share: least part of the k places that is drawn from below the threshold, in (0, 1].
        weight_sum: "kept": weights are scaled to sum to k, so that the mean weight is 1 and the step
            size that of plain training; "all": they sum to N, as published (the step grows by N/k).
    """
    scores = _check(scores, k)
    if not 0 < below_share <= 1:
        raise ArgumentError("below_share", below_share, "a number in (0, 1]")
    if weight_sum not in ("kept", "all"):
        raise ArgumentError("weight_sum", weight_sum, "'kept' or 'all'")
    usable = np.flatnonzero(~np.isnan(scores))
    if k >= len(usable):
        return Selection(_smallest(-scores, k, rng))
    filled, mean = _finite_mean_filled(scores[usable])
    draws = max(1, int(np.ceil(below_share * k)))
    above = np.flatnonzero(filled > mean)
    if len(above) > k - draws:
        above = above[_smallest(-filled[above], k - draws, rng)]
    is_below = np.ones(len(usable), dtype=bool)
    is_below[above] = False
    below = np.flatnonzero(is_below)
    ids, weights = _reweighted(above, below, k - len(above), rng)
    if weight_sum == "kept":
        weights *= np.float32(k / len(usable))
    return Selection(usable[ids], weights)


def threshold_published(scores: Floats, prune_rate: float, rng: np.random.Generator) -> Selection:
    """InfoBatch's rule as published: all at or above the mean, a fraction 1 - r of the rest.

    How many samples that keeps depends on the scores: the only rule here without an exact k. The kept
    part of the rest is round((1 - r)·B) of B samples (at least one) and weighs B over that count, which
    makes Σ w·L unbiased (the paper's weight 1/(1 - r) is that up to rounding). Quarantined samples (NaN)
    are left out.

    Args:
        prune_rate: r in [0, 1), the part of the low-score samples that is left out.
    """
    usable = np.flatnonzero(~np.isnan(scores))
    if len(usable) == 0:
        return Selection(np.arange(len(scores), dtype=np.int64))
    filled, mean = _finite_mean_filled(scores[usable])
    is_below = filled < mean
    above, below = np.flatnonzero(~is_below), np.flatnonzero(is_below)
    draws = max(1, round((1 - prune_rate) * len(below))) if len(below) else 0
    ids, weights = _reweighted(above, below, draws, rng)
    return Selection(usable[ids], weights)


RULES: dict[str, Callable[..., Selection]] = {"top": top, "sample": sample, "threshold": threshold}
"""Rules of the form (scores, k, generator) → Selection, by name."""


def _reweighted(above: Ids, below: Ids, draws: int, rng: np.random.Generator) -> tuple[Ids, Floats]:
    """All of ``above`` with weight 1, ``draws`` of ``below`` with weight B/draws."""
    drawn = _random_subset(below, draws, rng)
    weights = np.ones(len(above) + len(drawn), dtype=np.float32)
    if len(drawn):
        weights[len(above) :] = len(below) / len(drawn)
    return np.concatenate([above, drawn]), weights


def _finite_mean_filled(scores: Floats) -> tuple[Floats, np.float32]:
    """Scores with infinite ones (never seen) at the mean of the finite ones, and that mean (0 without any)."""
    finite = np.isfinite(scores)
    mean = np.float32(scores[finite].mean(dtype=np.float64)) if finite.any() else np.float32(0)
    return np.where(finite, scores, mean), mean


def _smallest(keys: Floats, k: int, rng: np.random.Generator) -> Ids:
    """Positions of the k smallest keys, NaN last, ties at the boundary broken at random."""
    if k == 0:
        return np.empty(0, dtype=np.int64)
    if k >= len(keys):
        return np.arange(len(keys), dtype=np.int64)
    boundary = np.partition(keys, k - 1)[k - 1]
    if np.isnan(boundary):
        sure, tied = np.flatnonzero(~np.isnan(keys)), np.flatnonzero(np.isnan(keys))
    else:
        sure, tied = np.flatnonzero(keys < boundary), np.flatnonzero(keys == boundary)
    return np.concatenate([sure, _random_subset(tied, k - len(sure), rng)])


def _random_subset(ids: Ids, k: int, rng: np.random.Generator) -> Ids:
    """k of the ids, every subset equally likely."""
    if k >= len(ids):
        return ids
    return rng.choice(ids, k, replace=False, shuffle=False)


def _check(scores: Floats, k: int) -> Floats:
    scores = np.asarray(scores, dtype=np.float32)
    if scores.ndim != 1:
        raise ArgumentError("scores", f"of shape {scores.shape}", "one score a sample, shape [N]")
    _check_k(k, len(scores))
    return scores


def _check_k(k: int, num_samples: int) -> None:
    if not 1 <= k <= num_samples:
        raise ArgumentError("k", k, f"an integer from 1 to the number of samples, {num_samples}")
