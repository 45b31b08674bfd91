"""Cross-entropy and entropy of each token's prediction from one pass over the logits, and the gradient.

    m = max_j x_j,   s = Σ_j e^(x_j - m),   t = Σ_j (x_j - m)·e^(x_j - m),   log Z = m + log s
    L = log s - (x_y - m),        ∂L/∂x_j = p_j - [j = y],                   p_j = e^(x_j - log Z)
    H = log s - t / s,            ∂H/∂x_j = -p_j·(log p_j + H)

A logit of -inf is a masked entry of the vocabulary: p_j = 0, and 0·log 0 = 0. Label smoothing spreads over the
entries that are not masked.
"""

from __future__ import annotations

import functools
import importlib.util
from types import ModuleType
from typing import Any, Literal

import torch

from emprune.errors import ArgumentError
from emprune.scoring.numerics import working_dtype
from emprune.scoring.sequences import plain_loss
from emprune.scoring.sequences.plain_loss import LOWEST, Forward, Slopes

Kernel = Literal["auto", "plain", "triton"]


def loss_and_entropy(
    logits: torch.Tensor,
    targets: torch.Tensor,
    *,
    label_smoothing: float,
    memory_gradient: bool,
    overwrite_logits: bool,
    kernel: Kernel,
    weight: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and entropy of each token, shape [n], float32 (float64 for float64 logits); 0 where there is no target.

    Class weights are a factor of each token's loss where labels are not smoothed. Where they are, each entry of the
    vocabulary has its own, for which there is no kernel: whole tensors are computed with.

    Args:
        logits: shape [batch, length, vocabulary], any strides.
        targets: int64, shape [batch·length], on the logits' device; in [0, vocabulary), or negative for none.
        label_smoothing, memory_gradient, overwrite_logits, kernel: as in :func:`emprune.scoring.tokens`.
    """
    if torch.compiler.is_compiling() or (weight is not None and label_smoothing):
        return formula(logits, targets, label_smoothing, memory_gradient=memory_gradient, weight=weight)
    implementation = _implementation(kernel, logits)
    loss, entropy = _LossAndEntropy.apply(  # type: ignore[no-untyped-call]
        logits, targets, float(label_smoothing), memory_gradient, overwrite_logits, implementation
    )
    return loss if weight is None else loss * weight.to(loss.dtype)[targets.clamp_min(0)], entropy


def formula(
    logits: torch.Tensor,
    targets: torch.Tensor,
    label_smoothing: float,
    *,
    memory_gradient: bool,
    weight: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same from whole tensors, for a compiler to fuse; holds several tensors of the logits' size otherwise."""
    logits = logits.flatten(0, 1)
    x = logits.to(working_dtype(logits.dtype))
    has, safe = targets >= 0, targets.clamp_min(0)[:, None]
    log_z = torch.logsumexp(x, dim=1)
    loss = log_z - x.gather(1, safe)[:, 0]
    weight = None if weight is None else weight.to(x.dtype)
    if weight is not None:
        loss = loss * weight[safe[:, 0]]
    if label_smoothing:
        live = x != -torch.inf
        each = torch.where(live, log_z[:, None] - x, 0)
        spread = each.sum(dim=1) if weight is None else each @ weight
        loss = (1 - label_smoothing) * loss + label_smoothing * spread / live.sum(dim=1)
    log_p = x - log_z[:, None]
    if not memory_gradient:
        log_p = log_p.detach()
    log_p = log_p.clamp_min(LOWEST)
    return torch.where(has, loss, 0), torch.where(has, -(log_p.exp() * log_p).sum(dim=1), 0)


@functools.cache
def has_triton() -> bool:
    """Whether Triton is installed."""
    return importlib.util.find_spec("triton") is not None


@functools.cache
def _runs_triton(device: torch.device) -> bool:
    """Whether Triton has a compiler for this device: CUDA from compute capability 7 on, and ROCm."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= 7


def _implementation(kernel: Kernel, logits: torch.Tensor) -> ModuleType:
    """The module whose ``forward`` and ``backward`` do the work."""
    if kernel not in ("auto", "plain", "triton"):
        raise ArgumentError("kernel", kernel, "'auto', 'plain' or 'triton'")
    fits = has_triton() and logits.dtype != torch.float64
    if kernel == "triton" and not fits:
        found = f"triton for {logits.dtype} logits, with{'' if has_triton() else 'out'} Triton installed"
        raise ArgumentError("kernel", found, "'auto' or 'plain' here")
    if kernel == "plain" or (kernel == "auto" and not (fits and _runs_triton(logits.device))):
        return plain_loss
    from emprune.scoring.sequences import triton_loss

    return triton_loss


class _LossAndEntropy(torch.autograd.Function):
    """Saves the logits and three numbers a token; probabilities are recomputed in backward."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        targets: torch.Tensor,
        smoothing: float,
        memory_gradient: bool,
        overwrite: bool,
        implementation: ModuleType,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(logits.device.type, enabled=False):
            found = implementation.forward(logits, targets, smoothing)
        ctx.save_for_backward(logits, targets, found.entropy, found.log_z, found.share)
        ctx.smoothing, ctx.overwrite, ctx.implementation = smoothing, overwrite, implementation
        ctx.set_materialize_grads(False)
        if not memory_gradient:
            ctx.mark_non_differentiable(found.entropy)
        return found.loss, found.entropy

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor | None, entropy_slope: torch.Tensor | None) -> tuple[Any, ...]:
        if torch.is_grad_enabled():
            raise ArgumentError("create_graph", True, "False: second derivatives of token losses are not implemented")
        logits, targets, entropy, log_z, share = ctx.saved_tensors
        found = Forward(entropy, entropy, log_z, share)
        slopes = Slopes(
            torch.zeros_like(log_z) if slope is None else slope.contiguous(),
            None if entropy_slope is None else entropy_slope.contiguous(),
        )
        grad = logits.detach() if ctx.overwrite else torch.empty_like(logits)
        with torch.autocast(logits.device.type, enabled=False):
            ctx.implementation.backward(logits.detach(), targets, found, slopes, ctx.smoothing, grad)
        if ctx.overwrite:
            # Another backward that saved these logits then raises an error instead of reading the gradient.
            torch.autograd.graph.increment_version(logits)
        return grad, None, None, None, None, None
