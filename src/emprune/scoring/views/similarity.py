"""Softmax over cosine similarities in chunks of anchors, so that no matrix of all similarities is held.

    s_ij = a_i·c_j / τ,    log Z_i = log Σ_{j ∉ skip_i} e^(s_ij),    p_ij = e^(s_ij - log Z_i) for j ∉ skip_i
    H_i = -Σ_j p_ij·log p_ij,    ∂log Z_i/∂a_i = Σ_j p_ij·c_j / τ,    ∂log Z_i/∂c_j = p_ij·a_i / τ

Chunks are recomputed in backward: only the features and one number an anchor are saved for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from emprune.errors import ArgumentError
from emprune.scoring.numerics import can_read, working_dtype

CHUNK_SIZE = 512
"""Anchors of a chunk: with 1024 of them, two buffers of a chunk are as large as one matrix of all similarities."""


def normalised(name: str, features: torch.Tensor) -> torch.Tensor:
    """Features of length 1, in float32 (float64 for float64).

    Args:
        name: of the argument, for the error.
        features: floating point, shape [n, D].

    Raises:
        ArgumentError: a row is zero. Seen on the CPU; elsewhere, where looking would wait for the device, such a row
            becomes NaN, as rows with NaN or infinite entries do everywhere.
    """
    features = features.to(working_dtype(features.dtype))
    # Squares of very large or small entries would leave float32's range. The direction does not depend on the
    # scale, so that the gradient may take it for a constant.
    scale = features.detach().abs().amax(dim=1, keepdim=True)
    if can_read(scale) and not bool(scale.all()):
        rows = (scale[:, 0] == 0).nonzero()[:, 0].tolist()
        shown = ", ".join(map(str, rows[:10])) + (", …" if len(rows) > 10 else "")
        raise ArgumentError(
            name, f"zero in {len(rows)} of {len(scale)} rows: {shown}", "features of a length above 0",
            "A vector of zeros has no direction: has the network collapsed, or is the buffer not filled yet?",
        )  # fmt: skip
    features = features / scale
    length: torch.Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / length


def log_sum_exp(
    anchors: torch.Tensor,
    candidates: torch.Tensor,
    skip: torch.Tensor | None,
    temperature: float,
    *,
    entropy: bool,
    chunk_size: int = CHUNK_SIZE,
) -> tuple[torch.Tensor, torch.Tensor]:
    """log Z with gradient, and H without, of each anchor's softmax over the candidates, by the formulas above.

    Args:
        anchors: float32 or float64, shape [M, D], normalised.
        candidates: of that dtype, shape [N, D], normalised; may be the anchors.
        skip: int64, shape [M, S], S < N: each anchor's candidates that do not count; None: all count.
        temperature: τ > 0.
        entropy: whether H is wanted; zeros else.
        chunk_size: anchors at a time; work memory is two buffers of chunk_size × N, one without entropy.

    Returns:
        (log Z, H) in nats, shape [M] each; 0 ≤ H ≤ log(N - S). NaN where a similarity is NaN.
    """
    with torch.autocast(anchors.device.type, enabled=False):
        # A view, for the compiler takes no tensor twice.
        log_z, spread = _LogSumExp.apply(  # type: ignore[no-untyped-call]
            anchors, candidates.view_as(candidates), skip, float(temperature), entropy, chunk_size
        )
    return log_z, spread


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        anchors: torch.Tensor,
        candidates: torch.Tensor,
        skip: torch.Tensor | None,
        temperature: float,
        entropy: bool,
        chunk_size: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        log_z, spread = anchors.new_zeros(len(anchors)), anchors.new_zeros(len(anchors))
        for rows in _chunks(len(anchors), chunk_size):
            s = _similarities(anchors, candidates, skip, temperature, rows)
            top = s.amax(dim=1, keepdim=True)
            lower = s.sub_(top)
            e = torch.exp(lower) if entropy else lower.exp_()
            total = e.sum(dim=1)
            log_z[rows] = total.log() + top[:, 0]
            if entropy:
                # Rounding may take it below 0; clamping leaves NaN as it is.
                spread[rows] = (total.log() - e.mul_(lower).sum(dim=1) / total).clamp_min(0)
        ctx.save_for_backward(anchors, candidates, skip, log_z)
        ctx.temperature, ctx.chunk_size = temperature, chunk_size
        ctx.mark_non_differentiable(spread)
        return log_z, spread

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: torch.Tensor, _: torch.Tensor) -> tuple[Any, ...]:
        anchors, candidates, skip, log_z = ctx.saved_tensors
        slope = slope / ctx.temperature
        wanted = ctx.needs_input_grad[1]
        to_anchors = torch.empty_like(anchors)
        to_candidates = torch.zeros_like(candidates) if wanted else None
        with torch.autocast(anchors.device.type, enabled=False):
            for rows in _chunks(len(anchors), ctx.chunk_size):
                s = _similarities(anchors, candidates, skip, ctx.temperature, rows)
                share = s.sub_(log_z[rows, None]).exp_().mul_(slope[rows, None])
                to_anchors[rows] = share @ candidates
                if to_candidates is not None:
                    to_candidates.addmm_(share.T, anchors[rows])
        return to_anchors, to_candidates, None, None, None, None


def _chunks(length: int, size: int) -> Iterator[slice]:
    for first in range(0, length, size):
        yield slice(first, min(first + size, length))


def _similarities(
    anchors: torch.Tensor, candidates: torch.Tensor, skip: torch.Tensor | None, temperature: float, rows: slice
) -> torch.Tensor:
    """s of these anchors, shape [rows, N], a new tensor; the lowest finite number where a candidate does not count."""
    s = (anchors[rows] / temperature) @ candidates.T
    # Finite, for e^s·s is to be 0 there and not NaN.
    return s if skip is None else s.scatter_(1, skip[rows], torch.finfo(s.dtype).min)
