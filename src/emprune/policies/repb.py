"""RePB (Zhou et al., ICLR 2026): compare losses inside a batch, decide the next epoch, weight by past counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from emprune.errors import ArgumentError
from emprune.policies.base import Policy, Request
from emprune.selection import Selection
from emprune.selection.topk import Floats, Ids, Mask, random_subset
from emprune.table import Observations, ScoreTable


@dataclass(repr=False)
class RePB(Policy):
    """RePB: what beat its batch's mean loss stays for the next epoch, a random part of all others joins it.

    Published rule, for the epoch that follows epoch E, with window W = 1 (its default):

    1. Local window pruning: a trained sample stays if its loss is at least the mean loss μ of the batch
       that it was trained in, else with probability 1 - ρ. Only losses of one model state are compared.
    2. Uniform resampling: a sample that epoch E left out comes back with probability 1 - ρ.
    3. Cumulative temporal reweighting: its loss is weighted by E / N_i, expected over actual count, N_i
       being the number of epochs that trained it so far.

    No sample is forwarded that is not trained: RePB plans epochs and is not an in-batch policy.

    Departures, all for an exact k or where the rule has no value:

    - 1 and 2 are one draw with the same probability for everyone not above the mean. Here that draw takes
      exactly the k - a places that the a samples above leave: the published law with ρ = 1 - (k - a) / (N - a),
      given how many it keeps. Where a > k (after a full epoch), k of these at random.
    - The coming epoch counts on both sides, w_i = (E + 1) / (N_i + 1). It is finite for a sample never
      trained, 1 in the first epoch, and for a constant probability p of being kept nearly unbiased,
      E[1{kept}·w] = 1 - (1 - p)^(E+1), where E / N_i is too large (Jensen's inequality).
    - A loss equal to the mean counts as below, so that equal losses do not freeze the subset.
    - The published run begins with a full epoch (``warmup_epochs=1``); without, the first k are uniform.
    - A forward pass that trains nothing (:meth:`emprune.Pruner.observe`) is a window like any other.

    Written from public descriptions of the method and its reviews; the authors' code was not at hand.

    Args:
        weight_sum: "kept": weights are scaled to sum to k, so that the mean weight is 1 and the step size
            that of plain training; "published": as above, about N in sum (the step grows by N/k).
    """

    weight_sum: Literal["kept", "published"] = "kept"

    name = "repb"
    source = "Zhou et al., Inconsistency Biases in Dynamic Data Pruning, ICLR 2026, at an exact rate"
    columns: ClassVar[Mapping[str, float]] = {"above_batch_mean": 0.0}

    def __post_init__(self) -> None:
        if self.weight_sum not in ("kept", "published"):
            raise ArgumentError("weight_sum", self.weight_sum, "'kept' or 'published'")

    def update(self, table: ScoreTable, seen: Observations) -> None:
        table.column("above_batch_mean")[seen.ids] = above_window_mean(seen.loss, seen.step)

    def select(self, request: Request) -> Selection:
        table = request.table
        usable = ~np.isnan(table.loss)
        recent = (table.last_seen == request.epoch - 1) & (request.epoch > 0)
        above = usable & recent & (table.extra["above_batch_mean"] > 0)
        ids = _fill_up([above, usable & ~above, ~usable], request.k, request.rng())
        weights = (request.epoch + 1) / (table.times_trained[ids] + 1.0)
        if self.weight_sum == "kept":
            weights *= len(ids) / weights.sum()
        return Selection(ids, weights.astype(np.float32))


def above_window_mean(loss: Floats, window: Ids) -> Floats:
    """Whether each loss is above the mean loss of its window, as 1 or 0.

    Args:
        loss: float32, shape [M], finite.
        window: int64, shape [M], at least 0: the window that each one belongs to.

    Returns:
        float32, shape [M].

    >>> above_window_mean(np.float32([1, 2, 8, 9]), np.array([0, 0, 1, 1])).tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    mean = np.bincount(window, loss) / np.maximum(np.bincount(window), 1)
    return (loss > mean[window]).astype(np.float32)


def _fill_up(groups: list[Mask], k: int, rng: np.random.Generator) -> Ids:
    """k ids: all of the first groups (bool, shape [N]) that fit, and a random part of the one that does not."""
    chosen: list[Ids] = []
    for group in groups:
        chosen.append(random_subset(group, k - sum(map(len, chosen)), rng))
    return np.concatenate(chosen)
