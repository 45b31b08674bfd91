"""Dense prediction: one loss and one memory term an image, from the class scores of its pixels."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from emprune.checks import kind_of
from emprune.errors import ArgumentError
from emprune.scoring.classification import PerSample
from emprune.scoring.numerics import can_read, working_dtype
from emprune.scoring.rows import beside, check_kind, raise_at
from emprune.scoring.targets import check_smoothing


def dense(
    logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    ignore_index: int = -100,
    weight: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
) -> PerSample:
    """Cross-entropy and prediction entropy of each sample, as means over its pixels that carry a label.

        L_i = mean_{p ∈ V_i} w_y·(-log q_p(y_p)),    H_i = mean_{p ∈ V_i} -Σ_c q_p(c)·log q_p(c),
        q_p = softmax(logits_p)

    For semantic segmentation, and whatever else gives a class a place: depth bins, heat maps, 3-D volumes, 1-D signals.
    The mean over pixels is this project's reading of EMP (Xiao et al., arXiv:2408.16031), as for tokens; the paper
    has no dense task. Where images have unequally many valid pixels the mean of a batch's losses is not torch's mean
    over all its pixels: here an image counts the same however few of its pixels are labelled.

    **A sample without a valid pixel** has loss 0 with gradient 0, and memory 0. A pruner takes it for fully learnt and
    all but stops training on it: nothing can be learnt from it.

    Args:
        logits: floating point, shape ``[B, C, *spatial]``, C ≥ 2, at least one spatial dimension; float64 is computed
            in float64, all others in float32.
        labels: class indices, int64, shape ``[B, *spatial]``, in [0, C), or ``ignore_index``.
        ignore_index: label of pixels that do not count, often 255 in data sets for segmentation.
        weight: w ≥ 0, a factor of each class, floating point, shape [C]. A sample's loss is divided by the number of
            its valid pixels, not by the sum of their weights as torch's mean is: or else weights would say nothing of
            one image against another. The entropy does not depend on the label, so not on w either.
        label_smoothing: s in [0, 1], as in torch.nn.functional.cross_entropy, class weights included.

    Returns:
        PerSample(loss, memory) of shape [B] on the logits' device, in nats; loss ≥ 0, 0 ≤ memory ≤ log C.

    Raises:
        ArgumentError: shapes or dtypes do not fit, or a label is no class (the message names row and pixel). Labels on
            an accelerator are not looked at, since that would wait for it: there such a sample's loss is NaN, and a
            pruner names it when the epoch ends.

    >>> loss, memory = dense(torch.zeros(1, 4, 2, 2), torch.tensor([[[0, 1], [255, 255]]]), ignore_index=255)
    >>> round(loss.item(), 4), round(memory.item(), 4)
    (1.3863, 1.3863)
    """
    _check_shapes(logits, labels, label_smoothing)
    classes = logits.shape[1]
    z, y = logits.flatten(2).to(working_dtype(logits.dtype)), labels.flatten(1)
    valid = y != ignore_index
    outside = valid & ((y < 0) | (y >= classes))
    if can_read(labels) and bool(outside.any()):
        hint = "Pixels without a class need ignore_index, for instance ignore_index=255."
        raise_at(
            "labels", labels, outside.view_as(labels), f"0 to {classes - 1}, or ignore_index, {ignore_index}", hint
        )
    if weight is not None:
        check_kind("weight", weight, None, (classes,), "floating point, one factor a class")
        weight = beside(weight, z, z.dtype)
    valid_here = beside(valid, z)
    targets = beside(y.masked_fill(~valid | outside, 0), z)
    log_q = torch.log_softmax(z, dim=1)
    loss = F.nll_loss(log_q, targets, weight, reduction="none")
    if label_smoothing:
        # Finite also for a class of probability zero, so that its factor 0 makes 0 and not NaN.
        spread = log_q.clamp_min(torch.finfo(log_q.dtype).min)
        spread = spread.mean(dim=1) if weight is None else (spread * weight[:, None]).mean(dim=1)
        loss = (1 - label_smoothing) * loss - label_smoothing * spread
    entropy = torch.special.entr(log_q.detach().exp()).sum(dim=1)
    number = valid_here.sum(dim=1).clamp_min(1)
    loss = loss.masked_fill(~valid_here, 0).sum(dim=1) / number
    if not can_read(labels):
        loss = loss.masked_fill(beside(outside.any(dim=1), loss), torch.nan)
    return PerSample(loss, entropy.masked_fill(~valid_here, 0).sum(dim=1) / number)


def _check_shapes(logits: torch.Tensor, labels: torch.Tensor, label_smoothing: float) -> None:
    """Raise unless logits, labels and smoothing fit each other; says which function does where another one would."""
    if logits.ndim < 3 or not logits.is_floating_point() or logits.shape[1] < 2:
        hint = ""
        if logits.ndim == 2:
            hint = "For one label a sample use emprune.scoring.classification(logits, labels)."
        elif logits.ndim > 2 and logits.shape[1] == 1:
            hint = (
                "For one yes-or-no logit a pixel use emprune.scoring.multilabel(logits.flatten(1), masks.flatten(1))."
            )
        allowed = "floating point of shape [batch, classes, *spatial] with two classes or more"
        raise ArgumentError("logits", kind_of(logits), allowed, hint)
    expected = (len(logits), *logits.shape[2:])
    if tuple(labels.shape) != expected or labels.dtype != torch.int64:
        hint = ""
        if tuple(labels.shape) == expected:
            hint = "Pass labels.long()."
        elif tuple(labels.shape) == (expected[0], 1, *expected[1:]):
            hint = "Pass labels.squeeze(1)."
        elif labels.shape == logits.shape:
            hint = (
                "Of one-hot masks pass labels.argmax(1); for masks that overlap use emprune.scoring.multilabel of "
                "logits.flatten(1) and masks.flatten(1)."
            )
        elif labels.ndim == logits.ndim - 1:
            hint = "Resize the logits to the labels first, torch.nn.functional.interpolate(logits, labels.shape[1:])."
        raise ArgumentError("labels", kind_of(labels), f"class indices, int64 of shape {list(expected)}", hint)
    check_smoothing(label_smoothing)
