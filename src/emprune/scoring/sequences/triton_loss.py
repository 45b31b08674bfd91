# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,import-not-found,import-untyped,misc"
"""Loss, entropy and gradient of tokens as two Triton kernels: the logits are read once in each direction.

The formulas are those of ``fused.py``. Forward goes along a token's row in blocks and keeps the largest logit m so
far, s = Σ e^(x - m) and t = Σ (x - m)·e^(x - m); when m grows by d, s becomes e^(-d)·s and t becomes e^(-d)·(t - d·s).
"""

from __future__ import annotations

from typing import Any

import torch

from emprune.scoring.sequences.plain_loss import LOWEST, Forward, Slopes

try:
    import triton
    import triton.language as tl

    jit = triton.jit
except ImportError:  # the module can be imported without Triton, as documentation tools do, and not be used

    def jit(kernel):
        """Leave the kernel as it is."""
        return kernel


_BLOCK = 2048  # entries at a time, 16 a thread: the fastest of eight sizes on an H100, in bfloat16 and float32
_WARPS = 4
_BYTES = 16  # the widest load of a thread


def forward(logits: torch.Tensor, targets: torch.Tensor, smoothing: float) -> Forward:
    """As :func:`emprune.scoring.sequences.plain_loss.forward`."""
    _, length, vocabulary = logits.shape
    found = Forward(*(torch.empty(len(targets), dtype=torch.float32, device=logits.device) for _ in Forward._fields))
    if len(targets):
        with torch.cuda.device_of(logits):
            _forward_kernel[(len(targets),)](
                logits, targets, *found, *logits.stride(), length, vocabulary, smoothing,
                SMOOTH=smoothing > 0, **_launch(logits),
            )  # fmt: skip
    return found


def backward(
    logits: torch.Tensor, targets: torch.Tensor, found: Forward, slopes: Slopes, smoothing: float, grad: torch.Tensor
) -> None:
    """As :func:`emprune.scoring.sequences.plain_loss.backward`."""
    _, length, vocabulary = logits.shape
    launch = _launch(logits, grad)
    entropy_slope = slopes.loss if slopes.entropy is None else slopes.entropy
    if len(targets):
        blocks = triton.cdiv(vocabulary + launch["VECTOR"] - 1, launch["BLOCK"])
        with torch.cuda.device_of(logits):
            _backward_kernel[(len(targets), blocks)](
                logits, grad, targets, found.entropy, found.log_z, found.share, slopes.loss, entropy_slope,
                *logits.stride(), *grad.stride(), length, vocabulary, smoothing,
                SMOOTH=smoothing > 0, MEMORY=slopes.entropy is not None, **launch,
            )  # fmt: skip


def _launch(*rows: torch.Tensor) -> dict[str, Any]:
    """Constants of the kernels; wide loads where the rows of all tensors begin alike between their boundaries."""
    block = min(_BLOCK, triton.next_power_of_2(rows[0].shape[-1]))
    vector = _BYTES // rows[0].element_size()
    alike = all(
        tensor.stride(2) == 1
        and all((tensor.stride(axis) - rows[0].stride(axis)) % vector == 0 for axis in (0, 1) if tensor.shape[axis] > 1)
        for tensor in rows
    )
    warps = _WARPS if block == _BLOCK else 4
    return {"BLOCK": block, "LOWEST": LOWEST, "VECTOR": vector if alike else 1, "num_warps": warps}


@jit
def _forward_kernel(
    logits, targets, loss, entropy, log_z, share, stride_batch, stride_token, stride_entry, length, vocabulary,
    smoothing, SMOOTH: tl.constexpr, BLOCK: tl.constexpr, LOWEST: tl.constexpr, VECTOR: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    target = tl.load(targets + token)
    has = target >= 0
    begin = (token // length) * stride_batch + (token % length) * stride_token
    boundary = begin // VECTOR * VECTOR  # rows of an odd length begin between two; the compiler knows its multiples
    before = begin - boundary
    top = -float("inf")
    totals = tl.zeros([BLOCK], dtype=tl.float32)  # summed over a thread's own entries first, over all at the end
    weights = tl.zeros([BLOCK], dtype=tl.float32)
    spread = 0.0
    live = 0.0
    end = tl.where(has, vocabulary + before, 0)  # a token without target is not read
    for first in range(0, end, BLOCK):
        places = first + tl.arange(0, BLOCK)
        here = logits + boundary + places.to(tl.int64) * stride_entry
        if (first >= before) & (first + BLOCK <= end):  # a mask would make loads narrow
            x = tl.load(here).to(tl.float32)
        else:
            inside = (places >= before) & (places < end)
            x = tl.load(here, mask=inside, other=-float("inf")).to(tl.float32)
        if SMOOTH:
            counted = x != -float("inf")
            spread += tl.sum(tl.where(counted, x, 0.0), axis=0)
            live += tl.sum(counted.to(tl.float32), axis=0)
        higher = tl.maximum(top, tl.max(x, axis=0))
        reference = tl.where(higher == -float("inf"), 0.0, higher)  # so far every entry was masked
        drop = top - reference
        # Compared, because tl.maximum would hide a NaN.
        drop = tl.where(drop < LOWEST, LOWEST, drop)
        lower = x - reference
        lower = tl.where(lower < LOWEST, LOWEST, lower)
        power = tl.exp(lower)
        kept = tl.exp(drop)
        weights = kept * (weights + drop * totals) + lower * power
        totals = kept * totals + power
        top = higher
    own = tl.load(logits + begin + target * stride_entry, mask=has, other=0.0).to(tl.float32)
    total = tl.where(has, tl.sum(totals, axis=0), 1.0)
    log_s = tl.log(total)
    value = log_s - (own - top)
    if SMOOTH:
        live = tl.where(has, live, 1.0)
        value = (1.0 - smoothing) * value + smoothing * (log_s - (spread / live - top))
        tl.store(share + token, smoothing / live)
    tl.store(loss + token, tl.where(has, value, 0.0))
    tl.store(entropy + token, tl.where(has, log_s - tl.sum(weights, axis=0) / total, 0.0))
    tl.store(log_z + token, tl.where(has, top + log_s, 0.0))


@jit
def _backward_kernel(
    logits, grad, targets, entropy, log_z, share, slope, entropy_slope, stride_batch, stride_token, stride_entry,
    grad_batch, grad_token, grad_entry, length, vocabulary, smoothing,
    SMOOTH: tl.constexpr, MEMORY: tl.constexpr, BLOCK: tl.constexpr, LOWEST: tl.constexpr, VECTOR: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    target = tl.load(targets + token)
    has = target >= 0
    begin = (token // length) * stride_batch + (token % length) * stride_token
    boundary = begin // VECTOR * VECTOR
    before = begin - boundary
    grad_begin = ((token // length) * grad_batch + (token % length) * grad_token) // VECTOR * VECTOR
    first = tl.program_id(1) * BLOCK
    places = first + tl.arange(0, BLOCK)
    inside = (places >= before) & (places < vocabulary + before)
    here = logits + boundary + places.to(tl.int64) * stride_entry
    out = grad + grad_begin + places.to(tl.int64) * grad_entry
    whole = (first >= before) & (first + BLOCK <= vocabulary + before)
    if has & whole:
        x = tl.load(here).to(tl.float32)
    else:
        x = tl.load(here, mask=inside & has, other=-float("inf")).to(tl.float32)
    log_p = x - tl.load(log_z + token)
    scale = tl.load(slope + token)
    if MEMORY:
        finite = tl.where(log_p < LOWEST, LOWEST, log_p)
        change = scale - tl.load(entropy_slope + token) * (finite + tl.load(entropy + token))
        result = tl.exp(log_p) * change
    else:
        result = tl.exp(log_p) * scale
    if SMOOTH:
        result -= tl.where(x == -float("inf"), 0.0, scale * tl.load(share + token))
    result -= tl.where(places - before == target, (1.0 - smoothing) * scale, 0.0)
    result = tl.where(has, result, 0.0).to(grad.dtype.element_ty)
    if whole:
        tl.store(out, result)
    else:
        tl.store(out, result, mask=inside)
