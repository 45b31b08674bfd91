"""Selective-Backprop (Jiang et al. 2019, arXiv:1910.00762): backward with a probability that grows with the loss."""

from __future__ import annotations

import numpy as np
import torch

from emprune.policies.base import BatchRequest, BatchSelection, InBatchPolicy
from emprune.selection.topk import Ids


class SelectiveBackprop(InBatchPolicy):
    """Each sample of a batch goes through backward with probability CDF(its loss)^β; weights are ones.

    The higher the loss among recent ones, the likelier. The gradient is biased towards the
    hard samples on purpose. No setting is left: E[u^β] = 1/(1 + β) for u uniform in [0, 1], so the rate
    asked for decides β, which is B/k - 1 for k of B samples (β = 1 keeps half, β = 2 a third).

    Departures:

    - The CDF is over the batch itself and not over the last losses (1,024 in the authors' code): no history to save and
      restore, and only losses of one model state are compared.
    - Exactly k samples instead of a coin for each: see :func:`loss_ranks`. Every sample keeps the
      published probability; that two are chosen together is not independent, but stratified by loss.
    - The paper gathers chosen samples of several batches into one full batch for backward; here each
      batch makes its own step with k samples.
    - The authors' code begins with a full epoch (``warmup_epochs=1``); without, selection starts at once.
    - Samples whose loss is not finite rank lowest. Equal losses rank by their place in the batch, which
      the plan has shuffled.
    """

    name = "selective-backprop"
    source = "Jiang et al. 2019, arXiv:1910.00762, at an exact rate"

    def select_within_batch(self, request: BatchRequest) -> BatchSelection:
        loss = request.loss
        ranks = torch.from_numpy(loss_ranks(len(loss), request.k, request.rng.random()))
        order = torch.where(torch.isfinite(loss), loss, -torch.inf).argsort(stable=True)
        return BatchSelection(order[ranks.to(loss.device, non_blocking=True)])


def loss_ranks(batch_size: int, k: int, start: float) -> Ids:
    """k distinct ranks of 0 (lowest loss) to B - 1, rank i with probability π_i ∝ CDF^β, β = B/k - 1.

        π_i = k·((i + 1)/B)^(B/k) - k·(i/B)^(B/k)

    is the mean of u^β over the i-th of B equal parts of [0, 1]; at most 1, and their sum is k. Systematic
    sampling (Madow 1949) includes each rank with exactly its π_i: ranks lie end to end on a line of
    length k, each as long as its π_i, and the points start + 0, 1, …, k - 1 fall into those chosen.

    Args:
        batch_size: B.
        k: 0 ≤ k ≤ B.
        start: uniform in [0, 1).

    Returns:
        int64, shape [k], increasing.

    >>> loss_ranks(8, 3, 0.5).tolist()
    [4, 6, 7]
    """
    if k == batch_size:
        return np.arange(k, dtype=np.int64)
    points = (np.arange(k) + start) / max(1, k)
    return np.minimum(batch_size * points ** (k / batch_size), batch_size - 1).astype(np.int64)
