"""Supervised classification: cross-entropy and entropy of the prediction, per sample, from one pass."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional as F

from emprune.scoring.targets import (
    check_all_but_classes,
    check_classes,
    check_smoothing,
    check_weight,
    nan_unless_distributions,
)

_NO_LABEL = -(2**63)  # torch would pass over a label of -100 without a word; every label counts here


class PerSample(NamedTuple):
    """Two numbers a sample, in nats.

    Attributes:
        loss: float32, shape [B], with gradient.
        memory: float32, shape [B], without gradient; higher means less settled.
    """

    loss: torch.Tensor
    memory: torch.Tensor


def classification(
    logits: torch.Tensor, labels: torch.Tensor, *, weight: torch.Tensor | None = None, label_smoothing: float = 0.0
) -> PerSample:
    """Cross-entropy L and prediction entropy H of each sample.

        L_i = -Σ_c w_c t_ic log q_ic,    H_i = -Σ_c q_ic log q_ic,    q_i = softmax(logits_i)

    H is the memory term of EMP (Xiao et al., arXiv:2408.16031, as summarised publicly). t is one-hot,
    smoothed if asked, or the soft target given; H depends neither on it nor on the weights. L is that of
    torch.nn.functional.cross_entropy(reduction="none"). A mean over it divides by the number of samples, where
    torch's reduction="mean" divides by the sum of the labels' weights.

    Args:
        logits: shape [B, C], C ≥ 2, float16, bfloat16 or float32; computed in float32.
        labels: class indices, int64, shape [B], in [0, C); or soft targets, floating point, shape [B, C], at least 0
            and rows summing to 1 (distillation; of mixup and cutmix λ·onehot(a) + (1 - λ)·onehot(b)).
        weight: w, floating point, shape [C], at least 0, on the logits' device: of each class; None: ones.
        label_smoothing: s in [0, 1]: t becomes (1 - s)·t + s/C, as in torch.nn.functional.cross_entropy.

    Returns:
        PerSample(loss, memory); loss ≥ 0, 0 ≤ memory ≤ log C. NaN logits give NaN, and the pruner names the sample.

    Raises:
        ArgumentError: shapes or dtypes do not fit, a label is not among the classes, a row of soft targets is no
            distribution (its sum differs from 1 by more than 0.01, or it has a negative or NaN entry), or a setting is
            out of range. Values are looked at where they lie on the CPU. On a device, looking would wait for it: there
            the loss of a row that is no distribution is NaN, which the pruner names when the epoch ends, and a label
            out of range fails as in torch.

    >>> loss, memory = classification(torch.zeros(1, 2), torch.tensor([0]))
    >>> round(loss.item(), 4), round(memory.item(), 4)
    (0.6931, 0.6931)
    """
    check_all_but_classes(logits, labels)
    if label_smoothing != 0:
        check_smoothing(label_smoothing)
    if weight is not None:
        check_weight(weight, logits.shape[1])
        weight = weight.float()
    log_q = torch.log_softmax(logits.float(), dim=1)
    memory = torch.special.entr(log_q.detach().exp()).sum(dim=1)  # entr(q) = -q·log q, and 0 for q = 0
    soft = labels.is_floating_point()
    if not soft:
        try:
            loss = F.nll_loss(log_q, labels, weight=weight, reduction="none", ignore_index=_NO_LABEL)
        except IndexError:  # looked at only now: in every step it would cost more than the loss
            check_classes(labels, logits.shape[1])
            raise
    if soft or label_smoothing:
        # Finite also for a class of probability zero, whose term is then 0·log q = 0 and not NaN.
        log_q = log_q.clamp_min(torch.finfo(torch.float32).min)
    if soft:
        target = labels.float() if weight is None else labels.float() * weight
        loss = nan_unless_distributions(-(target * log_q).sum(dim=1), labels)
    if label_smoothing:
        spread = log_q if weight is None else log_q * weight
        loss = (1 - label_smoothing) * loss - label_smoothing * spread.mean(dim=1)
    return PerSample(loss, memory)
