"""SeTa (Zhou et al. 2025, arXiv:2503.13385): clusters of losses, and a window that slides from easy to hard."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emprune.checks import integer, number
from emprune.policies.base import Policy, Request
from emprune.selection import Selection, sample

Doubles = NDArray[np.float64]

_SEEDINGS, _SEEDED_FROM, _STEPS = 4, 4096, 300


@dataclass(repr=False)
class SeTaPublished(Policy):
    """SeTa as published: the rate asked for is that of a random pruning, before the window cuts further.

    Zhou et al., arXiv:2503.13385 (CVPR 2025), and its released code. In epoch t,

    1. a pool of max(k, N/10) samples is drawn uniformly;
    2. their last losses are clustered by k-means into G groups, in the order of their means;
    3. the W = round(G·w) groups from the (t mod (G - W + 1))-th easiest on are kept, all groups for t = 0;
    4. in the last round(δ·E) of the run's E epochs the pool is kept whole (partial annealing).

    Weights are 1. How many samples an epoch keeps depends on the losses, so the run's length is not known
    beforehand. Departures: samples never seen have the mean of the seen losses (there a loss of 3);
    quarantined ones are drawn last; equal losses are one group, however many were asked for.

    Args:
        groups: G, at least 1. The released code's default is 10, its CIFAR and ImageNet scripts' 5.
        window: w in (0, 1], part of the groups that are kept; 0.5 by default, 0.9 and 0.6 in the scripts.
        anneal: δ in [0, 1].
    """

    groups: int = 10
    window: float = 0.5
    anneal: float = 0.125

    name = "seta-published"
    source = "Zhou et al. 2025, arXiv:2503.13385 (CVPR)"

    def __post_init__(self) -> None:
        self.groups = integer("groups", self.groups, 1)
        self.window = number("window", self.window, "a number in (0, 1]", lambda window: 0 < window <= 1)
        self.anneal = number("anneal", self.anneal, "a number in [0, 1]", lambda anneal: 0 <= anneal <= 1)

    def epoch_size(self, num_samples: int, k: int) -> int | None:
        return None

    def select(self, request: Request) -> Selection:
        losses, rng = request.table.rank(request.table.loss, "mean"), request.rng()
        pool = sample(losses, max(request.k, len(losses) // 10), rng, gamma=0).ids
        return Selection(pool[self.distance(losses[pool], request) == 0])

    def distance(self, losses: NDArray[np.float32], request: Request) -> NDArray[np.float32]:
        """float32, shape of ``losses``: how many groups a sample lies from the window, 0 inside; NaN stays."""
        distance = np.where(np.isnan(losses), np.float32(np.nan), np.float32(0))
        usable = np.flatnonzero(~np.isnan(losses))
        annealed = math.floor(self.anneal * request.num_epochs + 0.5)
        if request.epoch in (0, *range(request.num_epochs - annealed, request.num_epochs)) or not len(usable):
            return distance
        group = easy_to_hard(losses[usable], self.groups, request.rng("clusters"))
        count = int(group.max()) + 1
        width = max(1, round(count * self.window))
        first = request.epoch % (count - width + 1)
        distance[usable] = np.maximum(np.maximum(first - group, group - (first + width - 1)), 0)
        return distance


class SeTa(SeTaPublished):
    """SeTa at an exact rate: k samples of the window, drawn uniformly.

    Clusters, window and partial annealing are those of :class:`SeTaPublished`, on all samples: the random
    pruning follows the window, with the rate at which k are left, instead of going before it with a rate
    of its own. Where the window holds fewer than k, all of it and a random part of the groups nearest to it.
    """

    name = "seta"
    source = "Zhou et al. 2025, arXiv:2503.13385 (CVPR), at an exact rate"

    def epoch_size(self, num_samples: int, k: int) -> int:
        return k

    def select(self, request: Request) -> Selection:
        losses = request.table.rank(request.table.loss, "mean")
        return request.top(-self.distance(losses, request))


def easy_to_hard(losses: NDArray[np.float32], groups: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Each loss's k-means cluster, numbered by rising mean; fewer clusters where losses are equal.

    Lloyd's algorithm from several k-means++ seedings (Arthur & Vassilvitskii 2007), the fit of least
    squares kept. In one dimension clusters are intervals, so that a step on sorted losses costs a search
    for G - 1 limits and two sums from their prefixes.

    Args:
        losses: float32, shape [M], finite, M ≥ 1.

    Returns:
        int64, shape [M], from 0.

    >>> easy_to_hard(np.float32([5, 0, 0.1, 5.2, 9]), 3, np.random.default_rng(0)).tolist()
    [1, 0, 0, 1, 2]
    """
    ordered = np.sort(losses).astype(np.float64)
    fits = [_lloyd(ordered, _seeds(ordered, groups, rng)) for _ in range(_SEEDINGS)]
    limits = min(fits, key=lambda fit: fit[1])[0]
    group = np.searchsorted(limits, losses.astype(np.float64), side="right")
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def _seeds(ordered: Doubles, groups: int, rng: np.random.Generator) -> Doubles:
    """Up to ``groups`` distinct losses in increasing order, each likely by its squared distance to the others."""
    some = ordered if len(ordered) <= _SEEDED_FROM else rng.choice(ordered, _SEEDED_FROM, replace=False)
    seeds = [rng.choice(some)]
    nearest = np.abs(some - seeds[0])
    while len(seeds) < groups and (furthest := nearest.max()) > 0:
        likely = (nearest / furthest) ** 2  # scaled, so that no square overflows or vanishes
        seeds.append(rng.choice(some, p=likely / likely.sum()))
        nearest = np.minimum(nearest, np.abs(some - seeds[-1]))
    return np.sort(np.array(seeds))


def _lloyd(ordered: Doubles, centers: Doubles) -> tuple[Doubles, float]:
    """The limits between clusters after Lloyd's algorithm, and the sum of squared distances to their means."""
    total = np.concatenate([[0.0], np.cumsum(ordered)])
    before: Doubles | None = None
    for _ in range(_STEPS):
        limits = (centers[1:] + centers[:-1]) / 2
        cuts = np.concatenate([[0], np.searchsorted(ordered, limits), [len(ordered)]])
        if before is not None and np.array_equal(cuts, before):
            break
        sizes, before = np.diff(cuts), cuts
        centers = np.where(sizes > 0, np.diff(total[cuts]) / np.maximum(sizes, 1), centers)
    return limits, float(((ordered - centers[np.searchsorted(limits, ordered, side="right")]) ** 2).sum())
