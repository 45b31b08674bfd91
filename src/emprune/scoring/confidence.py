"""Confidence of right predictions: what KAKURENBO asks of a sample before it hides it."""

from __future__ import annotations

import torch

from emprune.scoring.classification import PerSample, classification


def confidence(logits: torch.Tensor, labels: torch.Tensor, *, label_smoothing: float = 0.0) -> PerSample:
    """Cross-entropy of each sample, and how sure its prediction is where it is right.

        confidence_i = max_c q_ic if argmax_c q_ic is the label, else 0,    q_i = softmax(logits_i)

    The prediction confidence (PC) of KAKURENBO (Nguyen et al., arXiv:2310.10102), with its prediction
    accuracy (PA) folded in: "predicted right with confidence τ or more" reads ``memory >= tau``, for τ > 0.

    Args:
        logits, labels, label_smoothing: as in :func:`emprune.scoring.classification`; of soft targets the
            class of highest target is the label. Smoothing changes the loss alone.

    Returns:
        PerSample(loss, memory): the loss of :func:`emprune.scoring.classification`, and in place of the
        memory term the confidence, float32, shape [B], 0 or from 1/C to 1; higher means better learnt.

    Raises:
        ArgumentError: shapes or dtypes do not fit, or the smoothing is out of range.

    >>> confidence(torch.tensor([[0.0, 2.0], [0.0, 2.0]]), torch.tensor([1, 0])).memory
    tensor([0.8808, 0.0000])
    """
    loss = classification(logits, labels, label_smoothing=label_smoothing).loss
    highest, predicted = torch.softmax(logits.detach().float(), dim=1).max(dim=1)
    target = labels.argmax(dim=1) if labels.is_floating_point() else labels
    return PerSample(loss, torch.where(predicted == target, highest, 0.0))
