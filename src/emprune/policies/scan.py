"""SCAN (Guo & Kankanhalli 2025, arXiv:2411.09126): drop both ends of the losses, and take them back in cycles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from emprune.checks import integer, number
from emprune.distributed.rank_slice import RankSlice
from emprune.policies.base import Policy, Request
from emprune.selection import Selection
from emprune.selection.topk import Floats, Mask, random_part, smallest_parts


@dataclass(repr=False)
class SCAN(Policy):
    """Keep the middle: drop the lowest losses as redundant, the highest as ill-matched, ever more of them in a cycle.

    Guo & Kankanhalli, arXiv:2411.09126 (ICCV 2025), and its released code, for contrastive training: the loss is
    InfoNCE. As published, a cycle has τ + 1 epochs. Its first trains all data, and the ρN lowest and the ρN highest
    losses of it become the candidates; its j-th epoch after that drops a random part of them,

        c_j = (1 + cos((τ - j)π/τ)) / 2,  of the 2ρN:  0, 1/4, 3/4, 1 for τ = 3, on average one half.

    Here the number of dropped samples is the pruner's, N - k, so that the candidates vary in its stead: the
    min(N, (N - k)/c_j) outermost last losses, of which the same part c_j is dropped as there. The first epoch of a
    cycle thus draws uniformly from all samples, the last drops the ends whole. With the pruner's rates 2ρ·c_j
    (:func:`dropped_part`) candidates, numbers and full epochs are the published ones; at a constant rate r an epoch
    with c_j ≤ r is uniform, as it would be without any score. The released ρ is 0.3 (CLIP) or 0.35 (MoCo v3).

    Departures: the ends are those of all last losses; there each batch of the full epoch has its own, what the losses
    of both views (or modalities) agree on is taken, and the candidates stay the same for the cycle. Cycles count from
    epoch 0; there they begin once the loss falls by less than 30 % an epoch (use the pruner's ``warmup_epochs``).
    Samples never seen are kept before all others, which cannot occur there; quarantined ones are dropped first; ties
    are broken at random.

    Args:
        period: τ + 1, epochs of a cycle, at least 1. 1 drops the ends whole in every epoch and takes none back (ours).
        low_share: part of the candidates that are the lowest losses, in [0, 1]; as published one half. 0 drops the
            highest alone, 1 the lowest, the paper's ablation; 1 with a period of 1 is LFL.
    """

    period: int = 4
    low_share: float = 0.5

    name = "scan"
    source = "Guo & Kankanhalli 2025, arXiv:2411.09126 (ICCV), at an exact rate"
    partitionable = True

    def __post_init__(self) -> None:
        self.period = integer("period", self.period, 1)
        self.low_share = number("low_share", self.low_share, "a number in [0, 1]", lambda share: 0 <= share <= 1)

    def select(self, request: Request) -> Selection:
        losses = request.table.rank(request.table.loss, "first")
        part = dropped_part(request.epoch, self.period)
        return middle(losses, request.k, request.rng(), request.table.owned, part=part, low_share=self.low_share)


def dropped_part(epoch: int, period: int = 4) -> float:
    """c_j in [0, 1], the part of the candidates that an epoch drops; j is its place in the cycle.

    The published schedule, for ρ = 0.35: ``prune_rate=lambda epoch: 0.7 * dropped_part(epoch)``.

    >>> [round(dropped_part(epoch), 6) for epoch in range(6)]
    [0.0, 0.25, 0.75, 1.0, 0.0, 0.25]
    """
    period = integer("period", period, 1)
    return 1.0 if period == 1 else (1 - math.cos(math.pi * (epoch % period) / (period - 1))) / 2


def middle(
    losses: Floats,
    k: int,
    rng: np.random.Generator,
    owned: RankSlice,
    *,
    part: float = 1.0,
    low_share: float = 0.5,
) -> Selection:
    """k samples: all but N - k that are drawn uniformly from the outermost (N - k)/part losses.

    Args:
        losses: float32, shape [rows]; +inf is kept before all others, NaN dropped first. Neither is in the ends.
        k: of all ranks' rows together, 1 ≤ k ≤ N.
        owned: the rows that this rank holds.
        part: of the candidates that are dropped, in [0, 1]; 0 makes all samples candidates, 1 drops all candidates.
        low_share: part of the candidates that are taken from the lowest losses, in [0, 1].

    >>> middle(np.float32([5, 1, 4, 2, 3, 6]), 2, np.random.default_rng(0), RankSlice.whole(6)).ids.tolist()
    [2, 4]
    """
    kept = np.ones(len(losses), dtype=bool)
    missing, known = np.isnan(losses), np.isfinite(losses)
    left = owned.num_samples - k
    left -= _drop(kept, missing, left, rng, owned)
    most = owned.count(known)
    candidates = most if left >= part * most else round(left / part)
    left -= _drop(kept, _ends(losses, known, candidates, low_share, rng, owned), left, rng, owned)
    _drop(kept, ~missing & ~known, left, rng, owned)
    return Selection(np.flatnonzero(kept))


def _drop(kept: Mask, among: Mask, count: int, rng: np.random.Generator, owned: RankSlice) -> int:
    """Take up to ``count`` of the marked samples out of ``kept``, every subset equally likely; how many it were."""
    dropped = random_part(among, count, rng, owned)
    kept[dropped] = False
    return owned.total(len(dropped))


def _ends(
    losses: Floats, known: Mask, count: int, low_share: float, rng: np.random.Generator, owned: RankSlice
) -> Mask:
    """The ``count`` outermost of the known losses: bool, shape [rows]."""
    keys = np.where(known, losses, np.float32(np.nan))
    low = math.floor(low_share * count + 0.5)
    ends = np.zeros(len(losses), dtype=bool)
    for sign, size in ((1, low), (-1, count - low)):
        for ids in smallest_parts(sign * keys, size, rng, owned):
            ends[ids] = True
        keys[ends] = np.nan
    return ends
