"""OrderDP (Jin et al. 2026, arXiv:2606.08574): a uniform pool, and of it the highest stale losses."""

from __future__ import annotations

from dataclasses import dataclass

from emprune.checks import number
from emprune.policies.base import Policy, Request
from emprune.selection import Selection, sample, top


@dataclass(repr=False)
class OrderDP(Policy):
    """The k highest last losses of a pool of s samples that is drawn uniformly anew each epoch.

    Jin et al., arXiv:2606.08574 (ICLR 2026), where k is called q. All weights are 1: the step is unbiased
    for a surrogate objective, in which a loss weighs as much as its rank is likely to be selected. The
    released code never anneals; the pruner's ``anneal`` can.

    Here s = max(k, round(pool·N)), since k is the pruner's; the released code sets s/N and q/s. Its
    command for CIFAR-100 has s/N = 0.8 and q/s = 0.375 (70 % pruned), hence the default; for ImageNet
    0.75 and 0.8 (40 % pruned), or 0.8 and 0.9 (28 %). Where k ≥ pool·N the subset is uniform, as there with q = s.

    Departures: samples never seen come first within the pool (there they hold a loss of 3, for ImageNet
    of 1); quarantined ones enter the pool last; ties are broken at random.

    Args:
        pool: part of the data set that the pool is, in (0, 1]; 1 is LFL.
    """

    pool: float = 0.8

    name = "orderdp"
    source = "Jin et al. 2026, arXiv:2606.08574 (ICLR), and its released code"
    streams = True

    def __post_init__(self) -> None:
        self.pool = number("pool", self.pool, "a number in (0, 1]", lambda pool: 0 < pool <= 1)

    def select(self, request: Request) -> Selection:
        table, rng = request.table, request.rng()
        scores = table.rank(table.loss, "first")
        size = max(request.k, round(self.pool * len(table)))
        pool = sample(scores, size, rng, gamma=0).ids
        return Selection(pool[top(scores[pool], request.k, rng).ids])
