"""DivBS (Hong et al., ICML 2024, arXiv:2406.04872): a batch's part whose gradients span the mean gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from emprune.errors import ArgumentError
from emprune.policies.base import BatchRequest, BatchSelection, InBatchPolicy

_FLOOR = 1e-6  # relative; below, a correlation or a length is rounding
_SPANNED = 1e-5  # relative, of a squared length
_TINY = 1e-30


@dataclass(repr=False)
class DivBS(InBatchPolicy):
    """Diversified batch selection: each next sample explains most of what is left of the mean gradient.

    Let g_i be the samples' last-layer gradients and r the batch's mean gradient. Then k times: choose i by
    ``|g_i·r|``, take from g_i what the chosen ones span, and from r what lies along the rest of g_i (the
    paper's simplified greedy algorithm). Weights are ones.

    It reads ``gradient_products``, the inner products g_i·g_j, shape [B, B]: all that the rule needs of the gradients.
    ``emprune.scoring.gradient_products(logits, labels, hidden)`` gives them; products of any other per-sample
    features serve as well.

    Departures from the authors' code: gradients come from the training pass instead of one more in
    evaluation mode; chosen samples are not chosen again; when nothing of r is left, the rest is uniform
    (the code's answer too, where rounding lets it notice). Samples whose loss is not finite count for
    nothing and come last.

    Args:
        draw: "sample": i with probability proportional to ``|g_i·r|``, as in the authors' code; "greedy": the
            largest, as in the paper's text, which proves its bound for that.
    """

    draw: Literal["sample", "greedy"] = "sample"

    name = "divbs"
    source = "Hong et al. 2024, arXiv:2406.04872"
    inputs = ("loss", "gradient_products")

    def __post_init__(self) -> None:
        if self.draw not in ("sample", "greedy"):
            raise ArgumentError("draw", self.draw, "'sample' or 'greedy'")

    def select_within_batch(self, request: BatchRequest) -> BatchSelection:
        loss, products, k = request.loss, request.inputs["gradient_products"], request.k
        if products.shape != (len(loss), len(loss)):
            raise ArgumentError(
                "gradient_products", f"of shape {tuple(products.shape)}", f"shape [{len(loss)}, {len(loss)}]",
                "Products of each sample with each: emprune.scoring.gradient_products, or features @ features.T.",
            )  # fmt: skip
        preference = np.ones((k, len(loss)), dtype=np.float32)
        if self.draw == "sample":
            preference /= np.maximum(request.rng.standard_exponential(preference.shape, dtype=np.float32), _TINY)
        on_device = torch.from_numpy(preference).to(loss.device, non_blocking=True)
        return BatchSelection(spanning(products, torch.isfinite(loss), on_device))


@torch.no_grad()
def spanning(products: torch.Tensor, usable: torch.Tensor, preference: torch.Tensor) -> torch.Tensor:
    """k distinct positions, each the largest of preference · |correlation with what is left of the mean|.

    Works on the matrix of inner products alone: taking the direction of g_s away from all g_i and from r is
    one step of a Cholesky factorisation, M ← M - M[:, s]·M[s, :] / M[s, s], with g_i·r as a last column.
    With preference = 1/E, E ~ Exp(1) for each draw and sample, the largest is i with probability
    proportional to |g_i·r|. No step waits for the device.

    Args:
        products: g_i·g_j, floating point, shape [B, B].
        usable: bool, shape [B]; the others count for nothing and come last.
        preference: float32, shape [k, B], positive.

    Returns:
        int64, shape [k], in the order of choice.
    """
    size = len(products)
    products = torch.where(usable[:, None] & usable, products.float(), 0.0).nan_to_num_(0.0, 0.0, 0.0)
    products /= products.diagonal().max().clamp_min(_TINY)
    correlation = products.sum(dim=1, keepdim=True)
    left = torch.cat([products, correlation / correlation.abs().max().clamp_min(_TINY)], dim=1)
    # What is added to every sample: a floor, so that rounding decides nothing; the lowest for those that come last.
    base = torch.where(usable, _FLOOR * preference, torch.finfo(torch.float32).min)
    chosen: list[torch.Tensor] = []
    for step in range(len(preference)):
        best = torch.addcmul(base[step], left[:, size].abs(), preference[step]).argmax(dim=0, keepdim=True)
        chosen.append(best)
        base.index_fill_(1, best, -torch.inf)
        row = left.index_select(0, best)
        pivot = row.gather(1, best[None])
        # What is left of a sample that the chosen ones span is rounding: divided by, it would grow with every step.
        along = torch.where(pivot > _SPANNED, row / pivot.clamp_min(_SPANNED), 0.0)
        left.addr_(row[0, :size], along[0], alpha=-1)
    return torch.cat(chosen) if chosen else torch.empty(0, dtype=torch.int64, device=products.device)
