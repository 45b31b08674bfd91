"""Selection rules: pure functions from scores to a subset of exactly k samples.

Every rule takes ``scores`` (float32, shape [N], higher means more worth training), ``k`` (1 ≤ k ≤ N) and
a numpy generator, and returns a :class:`Selection` of exactly k distinct ids. Special scores mean the
same in all of them:

- ``+inf``: ahead of all others (a sample never seen); the threshold rules count it as the mean;
- ``NaN``: behind all others (a quarantined sample), taken only where the rest does not suffice.

A policy calls them on its request (``request.top(scores)``), which knows k and the generator, and the rows that this
rank holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from emprune.distributed.rank_slice import RankSlice
from emprune.selection.rank_rules import RankRules, Selection
from emprune.selection.topk import Floats


def uniform(num_samples: int, k: int, rng: np.random.Generator) -> Selection:
    """k of N samples, every subset equally likely."""
    return RankRules(RankSlice.whole(num_samples), k, rng).uniform()


def top(scores: Floats, k: int, rng: np.random.Generator) -> Selection:
    """The k highest scores; ties at the boundary are broken at random.

    >>> top(np.array([3, 1, 2, 2.5], dtype=np.float32), 2, np.random.default_rng(0)).ids.tolist()
    [0, 3]
    """
    return _whole(scores, k, rng).top(scores)


def sample(scores: Floats, k: int, rng: np.random.Generator, *, gamma: float = 1.0) -> Selection:
    """k samples without replacement, probability proportional to score^γ at each draw.

    The k smallest of E_i / score_i^γ with E_i ~ Exp(1) (Efraimidis & Spirakis 2006), compared as
    logarithms so that no power over- or underflows. Zero is drawn only when nothing else is left (for γ > 0).

    Where a score is below zero, as the loss of a density may be, scores have no zero of their own: each then counts by
    how far it lies above the lowest one, (score - lowest)^γ. What is added to all scores then changes nothing, and the
    lowest is drawn last. One score far below all others makes those nearly alike; ``top`` looks at their order alone.

    Args:
        scores: float32, shape [N].
        gamma: γ ≥ 0; 0 is uniform, large is `top`.
    """
    return _whole(scores, k, rng).sample(scores, gamma=gamma)


def threshold(
    scores: Floats,
    k: int,
    rng: np.random.Generator,
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
    return _whole(scores, k, rng).threshold(scores, below_share=below_share, weight_sum=weight_sum)


def threshold_published(scores: Floats, prune_rate: float, rng: np.random.Generator) -> Selection:
    """InfoBatch's rule as published: all at or above the mean, a fraction 1 - r of the rest.

    How many samples that keeps depends on the scores: the only rule here without an exact k. The kept
    part of the rest is round((1 - r)·B) of B samples (at least one) and weighs B over that count, which
    makes Σ w·L unbiased (the paper's weight 1/(1 - r) is that up to rounding). Quarantined samples (NaN)
    are left out.

    Args:
        prune_rate: r in [0, 1), the part of the low-score samples that is left out.
    """
    return _whole(scores, 1, rng).threshold_published(scores, prune_rate)


RULES: dict[str, Callable[..., Selection]] = {"top": top, "sample": sample, "threshold": threshold}
"""Rules of the form (scores, k, generator) → Selection, by name."""


def _whole(scores: Floats, k: int, rng: np.random.Generator) -> RankRules:
    return RankRules(RankSlice.whole(np.size(scores)), k, rng)
