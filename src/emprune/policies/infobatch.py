"""InfoBatch (Qin et al. 2024, arXiv:2303.04947): keep above the mean, thin out the rest, reweight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emprune.policies.base import Policy, Request
from emprune.selection.rank_rules import Selection, check_threshold


@dataclass(repr=False)
class InfoBatch(Policy):
    """InfoBatch at an exact rate: threshold and keep probability are chosen so that k samples stay.

    Weights stay unbiased. Departures from the paper are listed at
    :func:`emprune.selection.rules.threshold`. Its annealing is the pruner's ``anneal=0.125``.

    Args:
        below_share: least part of k drawn from below the threshold, in (0, 1].
        weight_sum: "kept" (mean weight 1) or "all" (weights sum to N, as published).
    """

    below_share: float = 0.8
    weight_sum: Literal["kept", "all"] = "kept"

    name = "infobatch"
    source = "Qin et al. 2024, arXiv:2303.04947, at an exact rate"
    streams = True
    partitionable = True

    def __post_init__(self) -> None:
        self.below_share = check_threshold(self.below_share, self.weight_sum)

    def select(self, request: Request) -> Selection:
        scores = request.table.rank(request.table.loss, "first")
        return request.threshold(scores, below_share=self.below_share, weight_sum=self.weight_sum)


class InfoBatchPublished(Policy):
    """InfoBatch's published rule: the rate asked for is that of the low-loss samples, not of the epoch.

    How many samples an epoch keeps depends on the losses, so the run's length is not known beforehand.
    Samples never seen count as the mean, hence stay.
    """

    name = "infobatch-published"
    source = "Qin et al. 2024, arXiv:2303.04947"
    partitionable = True

    def epoch_size(self, num_samples: int, k: int) -> None:
        return None

    def select(self, request: Request) -> Selection:
        scores = request.table.rank(request.table.loss, "first")
        return request.threshold_published(scores)
