"""Inner products of the samples' last-layer gradients, without forming the gradients."""

from __future__ import annotations

import torch

from emprune.errors import ArgumentError
from emprune.scoring.targets import check_classification


@torch.no_grad()
def gradient_products(logits: torch.Tensor, labels: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """Inner products of the cross-entropy's gradients with respect to a last linear layer's weight.

        logits = W·h + b,    g_i = ∂L_i/∂W = (q_i - t_i) ⊗ h_i,    g_i·g_j = ((q_i - t_i)·(q_j - t_j))·(h_i·h_j)

    with q_i = softmax(logits_i) and t_i the target. Two products of [B, C] and [B, H] matrices give what
    B gradients of C·H numbers each would. Policy ``divbs`` reads them as ``gradient_products``.

    Args:
        logits: floating point, shape [B, C].
        labels: class indices, int64, shape [B], in [0, C); or soft targets, floating point, shape [B, C].
        hidden: h, the layer's input, floating point, shape [B, H].

    Returns:
        float32, shape [B, B], symmetric, on the logits' device, without gradient; computed in float32, under
        autocast too.

    Raises:
        ArgumentError: shapes, dtypes or values do not fit, as for :func:`emprune.scoring.classification`.

    >>> logits, hidden = torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [3.0, 1.0]])
    >>> gradient_products(logits, torch.tensor([0, 1]), hidden)
    tensor([[ 0.5000, -1.5000],
            [-1.5000,  5.0000]])
    """
    check_classification(logits, labels)
    if hidden.ndim != 2 or len(hidden) != len(logits) or not hidden.is_floating_point():
        raise ArgumentError(
            "hidden", f"{hidden.dtype} of shape {tuple(hidden.shape)}",
            f"the last layer's input, floating point of shape [{len(logits)}, H]",
        )  # fmt: skip
    with torch.autocast(logits.device.type, enabled=False):
        error = torch.softmax(logits.float(), dim=1)
        if labels.is_floating_point():
            error -= labels
        else:
            error -= torch.nn.functional.one_hot(labels, error.shape[1])
        hidden = hidden.float()
        return (error @ error.T).mul_(hidden @ hidden.T)
