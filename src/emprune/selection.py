"""Selection rules: pure functions from scores to a subset of exactly k samples.

Every rule takes ``scores`` (float32, shape [N], higher means more worth training), ``k`` (1 ≤ k ≤ N) and
a numpy generator, and returns a :class:`Selection` of exactly k distinct ids. Special scores mean the
same in all of them:

- ``+inf``: ahead of all others (a sample never seen); the threshold rules count it as the mean;
- ``NaN``: behind all others (a quarantined sample), taken only where the rest does not suffice.

With a shard the scores are those of a rank's rows, shape [rows], N and k count all ranks' rows, the generator is in
the same state on every rank, and the ids are rows of the shard: put together they are what one rank with all the
scores would select.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from emprune.drawing import Floats, Ids, Mask, kth_smallest, random_part, smallest_parts
from emprune.errors import ArgumentError
from emprune.shard import Shard

_CHUNK = 65_536


@dataclass(frozen=True)
class Selection:
    """What a rule returns.

    Attributes:
        ids: int64, shape [k], distinct dataset positions, in no particular order.
        weights: float32, shape [k], factor of each sample's loss; None stands for ones.
        head: how many ids, at the head, come before those of all ranks' tails in the epoch's order.
    """

    ids: Ids
    weights: Floats | None = None
    head: int = 0


def uniform(num_samples: int, k: int, rng: np.random.Generator, shard: Shard | None = None) -> Selection:
    """k of N samples, every subset equally likely."""
    _check_k(k, num_samples)
    shard = shard or Shard.whole(num_samples)
    return Selection(random_part(np.ones(shard.rows, dtype=bool), k, rng, shard))


def top(scores: Floats, k: int, rng: np.random.Generator, shard: Shard | None = None) -> Selection:
    """The k highest scores; ties at the boundary are broken at random.

    >>> top(np.array([3, 1, 2, 2.5], dtype=np.float32), 2, np.random.default_rng(0)).ids.tolist()
    [0, 3]
    """
    scores, shard = _check(scores, k, shard)
    return _joined(smallest_parts(-scores, k, rng, shard))


def sample(
    scores: Floats, k: int, rng: np.random.Generator, shard: Shard | None = None, *, gamma: float = 1.0
) -> Selection:
    """k samples without replacement, probability proportional to score^γ at each draw.

    The k smallest of E_i / score_i^γ with E_i ~ Exp(1) (Efraimidis & Spirakis 2006), compared as
    logarithms so that no power over- or underflows. Scores below zero count as zero, and zero is drawn
    only when nothing else is left (for γ > 0).

    Args:
        scores: float32, shape [N], at least 0.
        gamma: γ ≥ 0; 0 is uniform, large is `top`.
    """
    scores, shard = _check(scores, k, shard)
    check_gamma(gamma)
    exponent = np.float32(min(gamma, float(np.finfo(np.float32).max)))
    return _joined(smallest_parts(_sampling_keys(scores, exponent, rng, shard), k, rng, shard))


def threshold(
    scores: Floats,
    k: int,
    rng: np.random.Generator,
    shard: Shard | None = None,
    *,
    below_share: float = 0.8,
    weight_sum: Literal["kept", "all"] = "kept",
) -> Selection:
    """InfoBatch's idea at an exact rate: keep what is above a threshold, a random part of the rest, reweighted.

    The threshold is the mean score, as published (Qin et al., arXiv:2303.04947, section 3), unless more
    than (1 - below_share)·k samples lie above it: then it rises until at least below_share·k places are
    left for the rest. The m samples drawn from the B below carry the weight B/m, so Σ w·L over the plan equals ΣL
    over all samples in expectation, whatever the threshold. Departure from the paper: the threshold may
    be higher than the mean, and samples exactly at it count as below.

    Args:
        below_share: least part of the k places that is drawn from below the threshold, in (0, 1].
        weight_sum: "kept": weights are scaled to sum to k, so that the mean weight is 1 and the step
            size that of plain training; "all": they sum to N, as published (the step grows by N/k).
    """
    scores, shard = _check(scores, k, shard)
    check_threshold(below_share, weight_sum)
    usable = shard.count(~np.isnan(scores))
    if k >= usable:
        return _joined(smallest_parts(-scores, k, rng, shard))
    draws = max(1, int(np.ceil(below_share * k)))
    above = (scores > _finite_mean(scores, shard)) & (scores < np.inf)
    most, count = k - draws, shard.count(above)
    if count > most:
        above &= scores > kth_smallest(scores[above], count - most, shard)
        count = shard.count(above)
    selection = _reweighted(above, ~above & ~np.isnan(scores), k - count, rng, shard)
    if weight_sum == "kept" and selection.weights is not None:
        return replace(selection, weights=selection.weights * np.float32(k / usable))
    return selection


def threshold_published(
    scores: Floats, prune_rate: float, rng: np.random.Generator, shard: Shard | None = None
) -> Selection:
    """InfoBatch's rule as published: all at or above the mean, a fraction 1 - r of the rest.

    How many samples that keeps depends on the scores: the only rule here without an exact k. The kept
    part of the rest is round((1 - r)·B) of B samples (at least one) and weighs B over that count, which
    makes Σ w·L unbiased (the paper's weight 1/(1 - r) is that up to rounding). Quarantined samples (NaN)
    are left out.

    Args:
        prune_rate: r in [0, 1), the part of the low-score samples that is left out.
    """
    shard = shard or Shard.whole(len(scores))
    if shard.count(~np.isnan(scores)) == 0:
        return Selection(np.arange(len(scores), dtype=np.int64))
    is_below = scores < _finite_mean(scores, shard)
    count = shard.count(is_below)
    draws = max(1, round((1 - prune_rate) * count)) if count else 0
    return _reweighted(~is_below & ~np.isnan(scores), is_below, draws, rng, shard)


RULES: dict[str, Callable[..., Selection]] = {"top": top, "sample": sample, "threshold": threshold}
"""Rules of the form (scores, k, generator, shard) → Selection, by name."""


def check_gamma(gamma: float) -> None:
    """Raise ArgumentError unless γ suits :func:`sample`."""
    if not 0 <= gamma < np.inf:
        raise ArgumentError("gamma", gamma, "a finite number of at least 0")


def check_threshold(below_share: float, weight_sum: str) -> None:
    """Raise ArgumentError unless the settings suit :func:`threshold`."""
    if not 0 < below_share <= 1:
        raise ArgumentError("below_share", below_share, "a number in (0, 1]")
    if weight_sum not in ("kept", "all"):
        raise ArgumentError("weight_sum", weight_sum, "'kept' or 'all'")


def _joined(parts: tuple[Ids, Ids]) -> Selection:
    sure, drawn = parts
    return Selection(np.concatenate([sure, drawn]), head=len(sure))


def _reweighted(above: Mask, below: Mask, draws: int, rng: np.random.Generator, shard: Shard) -> Selection:
    """All of ``above`` with weight 1, ``draws`` of the B in ``below`` with weight B/draws."""
    sure, drawn = np.flatnonzero(above), random_part(below, draws, rng, shard)
    weights = np.ones(len(sure) + len(drawn), dtype=np.float32)
    count = shard.count(below)
    if draws:
        weights[len(sure) :] = count / min(draws, count)
    return Selection(np.concatenate([sure, drawn]), weights, len(sure))


def _finite_mean(scores: Floats, shard: Shard) -> np.float32:
    """Mean of the finite scores, summed in float64; 0 without any."""
    if shard.is_whole:
        with np.errstate(invalid="ignore"):
            mean = scores.mean(dtype=np.float64)
        if np.isfinite(mean):  # only otherwise is a second pass needed: finite float32 never overflow the sum
            return np.float32(mean)
    return np.float32(shard.mean(scores[np.isfinite(scores)]))


def _sampling_keys(scores: Floats, gamma: np.float32, rng: np.random.Generator, shard: Shard) -> Floats:
    """log(E / score^γ) with E ~ Exp(1), NaN where the score is: the k smallest are the sample."""
    keys = shard.draw(rng, lambda generator, out: generator.standard_exponential(out=out, dtype=np.float32))
    for begin in range(0, len(keys), _CHUNK):  # by chunks, so that intermediate values stay in the cache
        part = slice(begin, begin + _CHUNK)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            log_power = np.zeros_like(keys[part]) if gamma == 0 else gamma * np.log(np.maximum(scores[part], 0))
            keys[part] = np.log(keys[part]) - log_power
    if gamma == 0:
        keys[np.isnan(scores)] = np.nan
    return keys


def _check(scores: Floats, k: int, shard: Shard | None) -> tuple[Floats, Shard]:
    scores = np.asarray(scores, dtype=np.float32)
    if scores.ndim != 1:
        raise ArgumentError("scores", f"of shape {scores.shape}", "one score a sample, shape [N]")
    shard = shard or Shard.whole(len(scores))
    _check_k(k, shard.num_samples)
    return scores, shard


def _check_k(k: int, num_samples: int) -> None:
    if not 1 <= k <= num_samples:
        raise ArgumentError("k", k, f"an integer from 1 to the number of samples, {num_samples}")
