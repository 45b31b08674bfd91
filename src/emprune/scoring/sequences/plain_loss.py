"""Loss, entropy and gradient of tokens in chunks, with torch operations alone: the reference of the kernel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from emprune.scoring.numerics import working_dtype

# Takes the place of log 0: e^(-1000) is 0 in float64 too, so that 0·log 0 is 0.
LOWEST = -1000.0


class Forward(NamedTuple):
    """What one pass over the logits gives, each of shape [n], in working precision.

    Attributes:
        loss: nats; 0 for tokens without target.
        entropy: nats; 0 for tokens without target.
        log_z: log Σ e^x; undefined for tokens without target.
        share: what label smoothing gives to each entry that is not masked; likewise.
    """

    loss: torch.Tensor
    entropy: torch.Tensor
    log_z: torch.Tensor
    share: torch.Tensor


class Slopes(NamedTuple):
    """Gradient of each token's loss, and of its entropy or None, in working precision, each of shape [n]."""

    loss: torch.Tensor
    entropy: torch.Tensor | None


def chunk_elements(device: torch.device) -> int:
    """Elements of a work buffer, of which there are two.

    On a CPU they should fit into a cache; but several threads synchronise a few times a chunk, which is expensive on
    a busy machine, so their chunks are larger. On an accelerator a chunk should keep the device busy.
    """
    threads = torch.get_num_threads()
    if device.type == "cpu":
        return 2**20 if threads == 1 else min(2**21 * threads, 2**24)
    return 2**24


def forward(logits: torch.Tensor, targets: torch.Tensor, smoothing: float) -> Forward:
    """Loss and entropy by the formulas of ``fused.py``.

    Args:
        logits: shape [batch, length, vocabulary], any strides.
        targets: int64, shape [batch·length]; in [0, vocabulary), or negative for none.
        smoothing: of the labels, in [0, 1].
    """
    dtype = working_dtype(logits.dtype)
    top, total, weighted, own, spread, share = torch.zeros(6, len(targets), dtype=dtype, device=logits.device)
    (blocks,) = _blocks(logits)
    shifted, power = _buffers(logits, dtype)
    for number, here, tokens in _chunks([len(block) for block in blocks], targets, len(shifted)):
        x = blocks[number][here]
        size = len(x)
        if x.dtype != dtype:
            x = shifted[:size].copy_(x)
        most = x.amax(dim=1, keepdim=True)
        own[tokens] = x.gather(1, targets[tokens].clamp_min(0)[:, None])[:, 0]
        if smoothing:
            masked = x == -torch.inf
            live = (~masked).sum(dim=1).to(dtype)
            spread[tokens] = (x - most).masked_fill_(masked, 0).sum(dim=1) / live
            share[tokens] = smoothing / live
        lower = torch.sub(x, most, out=shifted[:size]).clamp_min_(LOWEST)
        e = torch.exp(lower, out=power[:size])
        top[tokens] = most[:, 0]
        total[tokens] = e.sum(dim=1)
        weighted[tokens] = lower.mul_(e).sum(dim=1)
    log_s = total.log()
    loss = log_s - (own - top)
    if smoothing:
        loss = (1 - smoothing) * loss + smoothing * (log_s - spread)
    without = targets < 0
    entropy = (log_s - weighted / total).masked_fill_(without, 0)
    return Forward(loss.masked_fill_(without, 0), entropy, top + log_s, share)


def backward(
    logits: torch.Tensor, targets: torch.Tensor, found: Forward, slopes: Slopes, smoothing: float, grad: torch.Tensor
) -> None:
    """Write the gradient with respect to the logits into ``grad``, which may be the logits themselves.

    Args:
        logits, targets, smoothing: as in :func:`forward`, which gave ``found``.
        slopes: the gradients with respect to what it gave.
        grad: the logits' shape and dtype, any strides.
    """
    dtype = working_dtype(logits.dtype)
    sources, sinks = _blocks(logits, grad)
    result, factor = _buffers(logits, dtype)
    for number, here, tokens in _chunks([len(block) for block in sources], targets, len(result)):
        x = sources[number][here]
        target, scale = targets[tokens][:, None], slopes.loss[tokens][:, None]
        slope = torch.softmax(x, dim=1, dtype=dtype, out=result[: len(x)])
        if slopes.entropy is None:
            slope.mul_(scale)
        else:
            log_p = torch.sub(x, found.log_z[tokens][:, None], out=factor[: len(x)]).clamp_min_(LOWEST)
            log_p.add_(found.entropy[tokens][:, None]).mul_(slopes.entropy[tokens][:, None])
            slope.mul_(log_p.neg_().add_(scale))
        if smoothing:
            slope.sub_((scale * found.share[tokens][:, None]).masked_fill(x == -torch.inf, 0))
        slope.scatter_add_(1, target.clamp_min(0), (smoothing - 1) * scale)
        _write(sinks[number], here, slope, target)
    if logits.device.type == "cpu":
        _zero_the_rest(sinks, targets)


def _write(sink: torch.Tensor, here: slice | torch.Tensor, slope: torch.Tensor, target: torch.Tensor) -> None:
    if isinstance(here, slice):
        if slope.device.type != "cpu":
            slope.masked_fill_(target < 0, 0)
        sink[here].copy_(slope)
    else:
        sink.index_copy_(0, here, slope.to(sink.dtype))


def _zero_the_rest(sinks: Sequence[torch.Tensor], targets: torch.Tensor) -> None:
    """Rows that :func:`_chunks` left out."""
    start = 0
    for sink in sinks:
        sink.index_fill_(0, (targets[start : start + len(sink)] < 0).nonzero()[:, 0], 0)
        start += len(sink)


def _blocks(*tensors: torch.Tensor) -> list[Sequence[torch.Tensor]]:
    """Each tensor as matrices of tokens, cut alike and without a copy: one where all allow it, or one a batch row."""
    try:
        return [(tensor.view(-1, tensor.shape[-1]),) for tensor in tensors]
    except RuntimeError:
        return [tensor.unbind(0) for tensor in tensors]


def _buffers(logits: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Two work buffers of a chunk's shape [tokens, vocabulary]."""
    vocabulary = logits.shape[-1]
    size = max(1, min(chunk_elements(logits.device) // vocabulary, logits.shape[0] * logits.shape[1]))
    first, second = torch.empty(2, size, vocabulary, dtype=dtype, device=logits.device)
    return first, second


def _chunks(
    lengths: Sequence[int], targets: torch.Tensor, size: int
) -> Iterator[tuple[int, slice | torch.Tensor, slice | torch.Tensor]]:
    """At most ``size`` tokens at a time: number of the block, their rows in it, their places in ``targets``.

    On a processor tokens without target are left out; elsewhere finding them would wait for the device.
    """
    start = 0
    for number, length in enumerate(lengths):
        if targets.device.type == "cpu":
            all_rows = (targets[start : start + length] >= 0).nonzero()[:, 0]
            for first in range(0, len(all_rows), size):
                rows = all_rows[first : first + size]
                low, high = int(rows[0]), int(rows[-1]) + 1
                if high - low == len(rows):
                    yield number, slice(low, high), slice(start + low, start + high)
                else:
                    yield number, rows, rows + start
        else:
            for low in range(0, length, size):
                high = min(low + size, length)
                yield number, slice(low, high), slice(start + low, start + high)
        start += length
