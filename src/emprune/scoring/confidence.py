"""Confidence of right predictions: what KAKURENBO asks of a sample before it hides it."""

from __future__ import annotations

import torch

from emprune.scoring.targets import check_classification


@torch.no_grad()
def confidence(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """How sure each sample's prediction is where it is right.

        confidence_i = max_c q_ic if argmax_c q_ic is the label, else 0,    q_i = softmax(logits_i)

    The prediction confidence (PC) of KAKURENBO (Nguyen et al., arXiv:2310.10102), with its prediction
    accuracy (PA) folded in: "predicted right with confidence τ or more" reads ``confidence >= tau``, for τ > 0.
    Policy ``kakurenbo`` reads it as ``confidence``.

    Args:
        logits: floating point, shape [B, C]; computed in float32.
        labels: class indices, int64, shape [B], in [0, C); or soft targets, floating point, shape [B, C], of which the
            class of highest target is the label.

    Returns:
        float32, shape [B], on the logits' device, without gradient: 0, or from 1/C to 1; higher means better learnt.

    Raises:
        ArgumentError: shapes, dtypes or values do not fit, as for :func:`emprune.scoring.classification`.

    >>> confidence(torch.tensor([[0.0, 2.0], [0.0, 2.0]]), torch.tensor([1, 0]))
    tensor([0.8808, 0.0000])
    """
    check_classification(logits, labels)
    highest, predicted = torch.softmax(logits.float(), dim=1).max(dim=1)
    target = labels.argmax(dim=1) if labels.is_floating_point() else labels
    return torch.where(predicted == target, highest, 0.0)
