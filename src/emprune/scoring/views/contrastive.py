"""Contrastive learning: a loss and a memory term of each sample, from the two views of a batch."""

from __future__ import annotations

import math

import torch
import torch.distributed as dist

from emprune.scoring.classification import PerSample
from emprune.scoring.views.checks import (
    Memory,
    Pairs,
    check_enough,
    check_memory,
    check_pair,
    check_queue,
    check_settings,
    check_usual,
)
from emprune.scoring.views.choices import among_keys, among_views
from emprune.scoring.views.gathering import Ranks, meet
from emprune.scoring.views.infonce import one_minus_cosine
from emprune.scoring.views.similarity import CHUNK_SIZE


def contrastive(
    first: torch.Tensor,
    second: torch.Tensor,
    *,
    memory: Memory = "alignment",
    hidden: Pairs = (),
    temperature: float = 0.5,
    memory_temperature: float = 0.1,
    batch_size: int | None = None,
    group: dist.ProcessGroup | None = None,
    chunk_size: int = CHUNK_SIZE,
) -> PerSample:
    """SimCLR's NT-Xent loss and a memory term of each sample, from its two views.

        L_i = -log softmax_{j ≠ i}( z_i·z_j / τ )[i⁺],    p_i(j) = softmax_{j ≠ i}( h_i·h_j / τ_h ),    M_i = H(p_i)

    for each of the 2B views i, i⁺ being the other view of its sample; a sample's values are the means over its two
    views. z are the projector's outputs and h hidden features of the base encoder, both normalised here.

    L is NT-Xent (Chen et al., arXiv:2002.05709, equation 1). That self-supervised training has a memory term, built on
    hidden layers of the base encoder, is EMP's (Xiao et al., arXiv:2408.16031, as summarised publicly); its formula is
    not public. M is this project's, the analogue of the entropy of a classifier's prediction, and so are the other
    memory terms.

    Similarities are made in chunks of anchors, and again in backward, so that the 2B × 2B of them are not held. Half
    precision is computed in float32, also under autocast.

    Args:
        first, second: the projector's outputs for the two views, floating point, shape [B, D] each, of any length.
            Row i of both is sample i. B ≥ 2 (on all ranks together, with ``group``).
        memory: what the memory term is, always without gradient.
            "alignment": 1 - cos(h, h⁺) of the two views' hidden features, the mean over the layers; the default, chosen
            by measurement (see the README). "hidden": M, the mean over the layers given. "projector": the same of z, at
            ``memory_temperature``. "none": zeros, and nothing is computed.
        hidden: a pair (first views', second views') of hidden features a layer, floating point, shape [B, D_l] each.
            Needed for "hidden" and "alignment", ignored else.
        temperature, memory_temperature: τ and τ_h > 0.
        batch_size: the usual batch size. Loss and entropies grow with the number of negatives: in a smaller batch,
            such as an epoch's last, each gains log((2·batch_size - 1) / (2B - 1)), a constant without gradient, so
            that scores of all batches compare. None: as they are.
        group: ranks whose views are negatives too, with gradient: the mean over ranks of the gradients of their mean
            losses, which DistributedDataParallel takes, is the gradient of one process that holds all samples. Every
            rank must call; if their numbers of samples differ, values are right and so are sums of losses. B is then
            the number on all ranks together, and ``batch_size`` too. torch.distributed.group.WORLD: all ranks; None:
            this process's samples alone. Their numbers are gathered each step: between hosts if the group has a CPU
            backend (``init_process_group("cpu:gloo,cuda:nccl")``); with nccl alone the host waits for the device.
        chunk_size: anchors at a time; work memory is two buffers of chunk_size × 2B numbers.

    Returns:
        PerSample(loss, memory), float32 (float64 for float64 views), shape [B]. loss ≥ 0; entropies in
        [0, log(2B - 1)] before the batch size correction, "alignment" in [0, 2]; higher means less settled.

    Raises:
        ArgumentError: shapes, dtypes or settings do not fit; a batch of one, which has no negatives; features of
            zeros. The last is seen on the CPU alone; on an accelerator, where looking would wait for it, such a row
            counts as NaN. NaN or infinite features make NaN of the loss, or the memory term, of every sample that has
            them among its negatives, and a pruner names these samples when the epoch ends.

    >>> views = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> loss, memory = contrastive(views, views, memory="projector", temperature=1.0, memory_temperature=1.0)
    >>> [round(value, 4) for value in loss.tolist() + memory.tolist()]
    [0.5514, 0.5514, 0.9753, 0.9753]
    """
    check_pair(("first", "second"), first, second)
    check_memory(memory, hidden, len(first))
    check_settings(chunk_size, temperature=temperature, memory_temperature=memory_temperature)
    layers = hidden if memory == "hidden" else ()
    ranks = meet(group, first, [first.shape[1], *(pair[0].shape[1] for pair in layers)])
    check_enough(ranks.total)
    check_usual(batch_size, ranks.total)
    shared = memory == "projector" and memory_temperature == temperature
    names = ("first", "second")
    choice = among_views(names, first, second, ranks, temperature, entropy=shared, chunk_size=chunk_size)
    correction = _correction(batch_size, ranks.total)
    if shared:
        term = _mean_of_views(choice.entropy) + correction
    elif memory in ("hidden", "projector"):
        pairs = hidden if memory == "hidden" else [(first, second)]
        term = _entropies(pairs, ranks, memory_temperature, chunk_size) + correction
    else:
        term = _alignment(hidden) if memory == "alignment" else choice.gap.new_zeros(len(first))
    return PerSample(_mean_of_views(choice.loss) + correction, term)


def contrastive_queue(
    queries: torch.Tensor,
    keys: torch.Tensor,
    queue: torch.Tensor,
    *,
    memory: Memory = "alignment",
    hidden: Pairs = (),
    temperature: float = 0.2,
    memory_temperature: float = 0.1,
    batch_size: int | None = None,
    chunk_size: int = CHUNK_SIZE,
) -> PerSample:
    """MoCo v2's InfoNCE loss and a memory term of each sample, from its query, its key and a queue of other keys.

        L_i = -log( e^(q_i·k_i / τ) / (e^(q_i·k_i / τ) + Σ_{n ∈ queue} e^(q_i·n / τ)) )

    Equation 1 of He et al., arXiv:1911.05722, at the temperature of Chen et al., arXiv:2003.04297. The memory terms are
    those of :func:`contrastive`, and as there this project's. Keys and queue get no gradient.

    Args:
        queries, keys: the query encoder's projections of the first views, and the momentum encoder's of the second
            ones, floating point, shape [B, D]; row i of both is sample i; normalised here, as the queue.
        queue: earlier batches' keys, floating point, shape [K, D], K ≥ B. The batch's own join it after the step.
        memory: "hidden": entropy of the softmax over the batch's other views by hidden features, as in
            :func:`contrastive`, the mean over layers and both views; needs B ≥ 2. "projector": entropy of the query's
            softmax over its key and the queue, at ``memory_temperature``. "alignment", "none": as there.
        hidden: a pair (query encoder's, momentum encoder's) of features a layer, floating point, shape [B, D_l] each.
        temperature, memory_temperature: τ and τ_h > 0.
        batch_size: the usual batch size, for memory="hidden" alone, whose entropies grow with the batch: see
            :func:`contrastive`. Loss and "projector" choose among 1 + K keys whatever the batch, without correction.
        chunk_size: queries at a time; work memory is two buffers of chunk_size × K numbers.

    Returns:
        PerSample(loss, memory), float32 (float64 for float64 queries), shape [B]. loss ≥ 0; "projector" in
        [0, log(1 + K)], the others as for :func:`contrastive`; higher means less settled.

    Raises:
        ArgumentError: as :func:`contrastive`; or the queue is smaller than the batch.

    >>> queries, queue = torch.eye(2), torch.tensor([[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]])
    >>> loss, memory = contrastive_queue(queries, queries, queue, memory="projector", temperature=1.0)
    >>> [round(value, 4) for value in loss.tolist()]
    [0.9176, 1.0064]
    """
    check_queue(queries, keys, queue)
    check_memory(memory, hidden, len(queries))
    check_settings(chunk_size, temperature=temperature, memory_temperature=memory_temperature)
    check_usual(batch_size, len(queries))
    shared = memory == "projector" and memory_temperature == temperature
    choice = among_keys(queries, keys, queue, temperature, entropy=shared, chunk_size=chunk_size)
    if shared:
        term = choice.entropy
    elif memory == "projector":
        with torch.no_grad():
            term = among_keys(queries, keys, queue, memory_temperature, entropy=True, chunk_size=chunk_size).entropy
    elif memory == "hidden":
        check_enough(len(queries))
        alone = Ranks(None, (len(queries),), 0)
        term = _entropies(hidden, alone, memory_temperature, chunk_size) + _correction(batch_size, len(queries))
    else:
        term = _alignment(hidden) if memory == "alignment" else choice.gap.new_zeros(len(queries))
    return PerSample(choice.loss, term)


@torch.no_grad()
def _entropies(pairs: Pairs, ranks: Ranks, temperature: float, chunk_size: int) -> torch.Tensor:
    """Shape [B]: means over both views and the layers."""
    layers = [
        among_views(_names(place), *pair, ranks, temperature, entropy=True, chunk_size=chunk_size).entropy
        for place, pair in enumerate(pairs)
    ]
    return _mean_of_views(torch.stack(layers).mean(dim=0))


def _alignment(pairs: Pairs) -> torch.Tensor:
    """Shape [B]: means over the layers."""
    return torch.stack([one_minus_cosine(_names(place), *pair) for place, pair in enumerate(pairs)]).mean(dim=0)


def _names(place: int) -> tuple[str, str]:
    return f"hidden[{place}][0]", f"hidden[{place}][1]"


def _mean_of_views(values: torch.Tensor) -> torch.Tensor:
    """[2B], first views and then second ones, as [B]."""
    return values.view(2, -1).mean(dim=0)


def _correction(batch_size: int | None, images: int) -> float:
    """The batch size correction, in nats: the logarithm of the ratio of the usual batch's classes to this one's."""
    return 0.0 if batch_size is None else math.log((2 * batch_size - 1) / (2 * images - 1))
