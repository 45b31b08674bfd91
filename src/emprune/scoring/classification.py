"""Supervised classification: cross-entropy and entropy of the prediction, per sample, from one pass."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional as F

from emprune.errors import ArgumentError

_NO_LABEL = -(2**63)  # torch would pass over a label of -100 without a word; every label counts here


class PerSample(NamedTuple):
    """Two numbers a sample, in nats.

    Attributes:
        loss: float32, shape [B], with gradient.
        memory: float32, shape [B], without gradient; higher means less settled.
    """

    loss: torch.Tensor
    memory: torch.Tensor


def classification(logits: torch.Tensor, labels: torch.Tensor, *, label_smoothing: float = 0.0) -> PerSample:
    """Cross-entropy L and prediction entropy H of each sample.

        L_i = -Σ_c t_ic log q_ic,    H_i = -Σ_c q_ic log q_ic,    q_i = softmax(logits_i)

    H is the memory term of EMP (Xiao et al., arXiv:2408.16031, as summarised publicly). t is one-hot,
    smoothed if asked, or the soft target given; H does not depend on it.

    Args:
        logits: shape [B, C], float16, bfloat16 or float32; computed in float32.
        labels: class indices, int64, shape [B], in [0, C); or soft targets, floating point, shape [B, C],
            rows summing to 1 (mixup, distillation).
        label_smoothing: s in [0, 1]: t becomes (1 - s)·t + s/C, as in torch.nn.functional.cross_entropy.

    Returns:
        PerSample(loss, memory); loss ≥ 0, 0 ≤ memory ≤ log C.

    Raises:
        ArgumentError: shapes or dtypes do not fit, or the smoothing is out of range.

    >>> loss, memory = classification(torch.zeros(1, 2), torch.tensor([0]))
    >>> round(loss.item(), 4), round(memory.item(), 4)
    (0.6931, 0.6931)
    """
    check_classification(logits, labels)
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError("label_smoothing", label_smoothing, "a number in [0, 1]")
    log_q = torch.log_softmax(logits.float(), dim=1)
    memory = torch.special.entr(log_q.detach().exp()).sum(dim=1)  # entr(q) = -q·log q, and 0 for q = 0
    if not labels.is_floating_point():
        loss = F.nll_loss(log_q, labels, reduction="none", ignore_index=_NO_LABEL)
    if labels.is_floating_point() or label_smoothing:
        # Finite also for a class of probability zero, whose term is then 0·log q = 0 and not NaN.
        log_q = log_q.clamp_min(torch.finfo(torch.float32).min)
    if labels.is_floating_point():
        loss = -(labels.float() * log_q).sum(dim=1)
    if label_smoothing:
        loss = (1 - label_smoothing) * loss - label_smoothing * log_q.mean(dim=1)
    return PerSample(loss, memory)


def check_classification(logits: torch.Tensor, labels: torch.Tensor) -> None:
    """Raise unless logits and labels are those of a batch of samples with one label, or one soft target, each."""
    if logits.ndim != 2 or not logits.is_floating_point():
        raise ArgumentError(
            "logits", f"{logits.dtype} of shape {tuple(logits.shape)}", "floating point of shape [batch, classes]"
        )
    expected = tuple(logits.shape) if labels.is_floating_point() else (len(logits),)
    if tuple(labels.shape) != expected or not (labels.is_floating_point() or labels.dtype == torch.int64):
        raise ArgumentError(
            "labels", f"{labels.dtype} of shape {tuple(labels.shape)}",
            f"class indices, int64 of shape [{len(logits)}], or soft targets of shape {tuple(logits.shape)}",
        )  # fmt: skip
