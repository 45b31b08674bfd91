"""Regression: a loss a sample, and a memory term where the model predicts a variance."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch.nn import functional as F

from emprune.checks import kind_of
from emprune.errors import ArgumentError
from emprune.scoring.numerics import can_read, working_dtype
from emprune.scoring.rows import beside, check_kind, raise_at

KINDS = ("squared", "absolute", "huber")


class PerPrediction(NamedTuple):
    """One or two numbers a sample.

    Attributes:
        loss: shape [B], with gradient.
        memory: shape [B], without gradient; None where the prediction has no variance of its own.
    """

    loss: torch.Tensor
    memory: torch.Tensor | None


def regression(
    prediction: torch.Tensor,
    target: torch.Tensor,
    *,
    variance: torch.Tensor | None = None,
    kind: str = "squared",
    delta: float = 1.0,
) -> PerPrediction:
    """Loss of each sample, the mean over its outputs; with a predicted variance also the entropy of the prediction.

        squared    L_i = mean_j (y_ij - μ_ij)²
        absolute   L_i = mean_j |y_ij - μ_ij|
        huber      L_i = mean_j of ½·e² where e = |y_ij - μ_ij| ≤ δ, else δ·(e - ½·δ)
        with σ²    L_i = mean_j ½·(log(2π·σ_ij²) + (y_ij - μ_ij)²/σ_ij²),    H_i = mean_j ½·log(2πe·σ_ij²)

    **What serves as memory term.** EMP's is the entropy of the predicted distribution (Xiao et al., arXiv:2408.16031,
    as summarised publicly, for classes). Least squares is a Gaussian whose variance is the same for all samples: its
    entropy is a constant, which ranks nothing, so memory is None, and EMP ranks by the loss alone, which it says once.
    If the model predicts a variance for each sample, H is the differential entropy of that Gaussian. It is this
    project's reading; the paper has no regression, and no study here has measured it.

    **Negative values.** A density may exceed 1, so L with a variance is negative for precise predictions, and H is
    wherever σ < 1/√(2πe) ≈ 0.242 in the target's units. They change with those units: targets in metres and in
    millimetres give values 6.9 nats apart, and sampling in proportion to L + β·H is not the same then. In a rule that
    takes scores in proportion, :func:`emprune.selection.sample`, a negative score has no place of its own: see there.
    Scale targets so that the noise that you expect has a standard deviation of about 1, or take a rule that looks at
    the order alone (``EMP(rule="top")``), which no units change.

    Args:
        prediction: μ, floating point, shape [B] or [B, ...]; float64 is computed in float64, all others in float32.
        target: y, of the prediction's shape, any dtype.
        variance: σ² > 0, floating point, of the prediction's shape; of a head that gives log-variances pass
            ``log_variance.exp()``. With kind "squared" alone.
        kind: "squared", "absolute" or "huber". Of outliers, whose loss stays high, squares see the most: EMP draws them
            in proportion to its score squared, the fourth power of their error then.
        delta: δ > 0 of "huber".

    Returns:
        PerPrediction(loss, memory) of shape [B] on the prediction's device: with a variance in nats; without one in
        units of the target, squared ones for "squared" and "huber", at least 0, and memory None.

    Raises:
        ArgumentError: shapes or dtypes do not fit, an option is unknown, or a target is NaN or infinite or a variance
            not above 0 (the message names the row). Values on an accelerator are not looked at, since that would wait
            for it: there such a sample's loss is not finite, and a pruner names it when the epoch ends.

    >>> regression(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.0]))
    PerPrediction(loss=tensor([4., 0.]), memory=None)
    >>> regression(torch.zeros(1), torch.zeros(1), variance=torch.ones(1))
    PerPrediction(loss=tensor([0.9189]), memory=tensor([1.4189]))
    """
    _check(prediction, target, variance, kind, delta)
    dtype = working_dtype(prediction.dtype)
    mean = prediction.to(dtype)
    y = beside(target, mean, dtype)
    if variance is None:
        return PerPrediction(_over_outputs(_elementwise(mean, y, kind, delta)), None)
    variance = variance.to(dtype)
    log_variance = variance.log() + math.log(2 * math.pi)
    loss = (log_variance + (y - mean).square() / variance) / 2
    return PerPrediction(_over_outputs(loss), _over_outputs((log_variance.detach() + 1) / 2))


def _elementwise(mean: torch.Tensor, y: torch.Tensor, kind: str, delta: float) -> torch.Tensor:
    if kind == "huber":
        return F.huber_loss(mean, y, reduction="none", delta=delta)
    loss = F.l1_loss if kind == "absolute" else F.mse_loss
    return loss(mean, y, reduction="none")


def _over_outputs(values: torch.Tensor) -> torch.Tensor:
    return values if values.ndim == 1 else values.flatten(1).mean(dim=1)


def _check(
    prediction: torch.Tensor, target: torch.Tensor, variance: torch.Tensor | None, kind: str, delta: float
) -> None:
    if prediction.ndim < 1 or not prediction.is_floating_point():
        hint = "For classes use emprune.scoring.classification."
        raise ArgumentError("prediction", kind_of(prediction), "floating point of shape [batch, ...]", hint)
    if target.shape != prediction.shape:
        # Of [B, 1] and [B] torch would make a loss of [B, B] without an error.
        hint = "Pass prediction.squeeze(1)." if (*target.shape, 1) == tuple(prediction.shape) else ""
        if tuple(target.shape) == (*prediction.shape, 1):
            hint = "Pass target.squeeze(-1)."
        if not hint and target.ndim == 1 and prediction.ndim == 2 and not target.is_floating_point():
            hint = "For one class out of several use emprune.scoring.classification(logits, labels)."
        raise ArgumentError("target", kind_of(target), f"the prediction's shape, {list(prediction.shape)}", hint)
    if kind not in KINDS:
        hint = "Any other loss of your own goes to pruner.loss(ids, loss) as it is, one value a sample."
        raise ArgumentError("kind", kind, f"one of {', '.join(KINDS)}", hint)
    if not 0 < delta < math.inf:
        raise ArgumentError("delta", delta, "a finite number above 0")
    if can_read(target) and not bool(target.isfinite().all()):
        raise_at("target", target, ~target.isfinite(), "finite numbers")
    if variance is None:
        return
    if kind != "squared":
        raise ArgumentError("kind", kind, "'squared' with a variance: the Gaussian's loss is its own")
    check_kind("variance", variance, None, tuple(prediction.shape), "floating point")
    if can_read(variance) and not bool((variance > 0).all()):
        hint = "Predict log-variances and pass log_variance.exp()."
        raise_at("variance", variance, ~(variance > 0), "numbers above 0", hint)
