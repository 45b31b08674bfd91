"""Token-level tasks: one loss and one memory term a sequence, from the logits of its tokens."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch

from emprune.scoring.classification import PerSample
from emprune.scoring.numerics import can_read
from emprune.scoring.sequences.checks import check_ids_in_range, check_sequences, check_shapes, check_targets
from emprune.scoring.sequences.fused import Kernel, loss_and_entropy
from emprune.scoring.sequences.packing import BAD_TARGET, NO_TARGET, sequence_means, targets_of

T = TypeVar("T", torch.Tensor, torch.Tensor | None)


class PerToken(NamedTuple):
    """Two numbers a token, in nats, each of the labels' shape; 0 where there is no label.

    Attributes:
        loss: float32, with gradient.
        entropy: float32, without gradient unless asked for; higher means less settled.
    """

    loss: torch.Tensor
    entropy: torch.Tensor


def tokens(
    logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    ignore_index: int = -100,
    shift: bool = False,
    sequence_ids: torch.Tensor | None = None,
    num_sequences: int | None = None,
    weight: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
    require_labels: bool = True,
    memory_gradient: bool = False,
    overwrite_logits: bool = False,
    kernel: Kernel = "auto",
) -> PerSample:
    """Cross-entropy and prediction entropy of each sequence: means over its tokens that carry a label.

        L_s = mean_{t ∈ T_s} -log q_t(y_t),    H_s = mean_{t ∈ T_s} -Σ_j q_t(j)·log q_t(j),    q_t = softmax(logits_t)

    The mean over tokens is this project's reading of EMP (Xiao et al., arXiv:2408.16031) for token-level tasks; the
    paper gives none. See :func:`token_loss` for what is computed, how, and for unusual logits.

    **A sequence without a labelled token** has loss 0 (with zero gradient) and memory 0. A pruner takes it for fully
    learnt, ranks it last and all but stops training on it: nothing can be learnt from it.

    **Packed sequences**, several samples in a row: ``sequence_ids`` says which sample each token belongs to, and the
    result has one value a sample. :func:`emprune.scoring.sequence_ids_from_positions` and
    :func:`~emprune.scoring.sequence_ids_from_boundaries` make them of what collators give; ``seq_idx`` of
    transformers' and TRL's collators are such ids already.

    Args:
        logits: floating point, shape [batch, length, vocabulary], any strides. For packed sequences also
            [tokens, vocabulary], with labels and ids of shape [tokens].
        labels: int64, shape [batch, length].
        ignore_index: label of tokens that do not count.
        shift: causal language models: each token's logits are held against the next token's label. Logits are not
            copied for it. With ``sequence_ids`` no token predicts across a border: the first label of a sample is
            predicted by none and does not count.
        sequence_ids: int32 or int64, shape [batch, length]: which sample each token belongs to, from 0; negative for
            padding. Only the ids of labelled tokens matter.
        num_sequences: S, samples in a packed batch: as many as it has ids. Without it the largest id plus one, for
            which an accelerator must be waited for.
        weight: floating point, shape [vocabulary], at least 0, on the logits' device: factor of the loss of each label,
            as in torch.nn.functional.cross_entropy; None: ones. The mean of a sequence still divides by its labelled
            tokens and not by their weights. Together with label smoothing, several tensors of the logits' size are
            held, and neither ``kernel`` nor ``overwrite_logits`` matters.
        label_smoothing: s in [0, 1]: the target is (1 - s)·onehot + s/V, as in torch.nn.functional.cross_entropy,
            V counting the entries of the vocabulary that are not masked.
        require_labels: raise where no token of the batch has a label. A training set's odd batch of one truncated
            sample may: False lets it pass.
        memory_gradient: let gradients flow through the memory term.
        overwrite_logits: write the gradient over the logits instead of into new memory: half the peak. The logits
            are gone after backward; reading them later is the caller's mistake, other backwards that need them fail.
        kernel: "triton" is a fused kernel for accelerators, "plain" torch operations on chunks of tokens; "auto"
            takes the kernel for logits on CUDA where Triton is installed and the logits are not float64.

    Returns:
        PerSample(loss, memory): float32 (float64 for float64 logits), shape [batch] or [num_sequences], on the logits'
        device; loss ≥ 0, 0 ≤ memory ≤ log(vocabulary).

    Raises:
        ArgumentError: shapes or dtypes do not fit, a label is outside the vocabulary, no token has a label, or a
            labelled token's sequence id is not below ``num_sequences``. The latter three are seen where labels and
            ids lie on the CPU. On an accelerator, looking would wait for it: there the loss of a sequence with a
            label outside the vocabulary is NaN (and its gradient finite: that token counts for nothing), the losses
            of a batch with an id out of range are all NaN, and a pruner names these samples when the epoch ends.
            :func:`check_labels` on the collator's labels finds it before.

    >>> logits, labels = torch.zeros(2, 3, 4), torch.tensor([[0, 1, 2], [3, -100, -100]])
    >>> loss, memory = tokens(logits, labels, shift=True)
    >>> [round(value, 4) for value in loss.tolist() + memory.tolist()]
    [1.3863, 0.0, 1.3863, 0.0]
    """
    check_shapes(logits, labels, label_smoothing, weight)
    num_sequences = check_sequences(logits, sequence_ids, num_sequences)
    targets = targets_of(
        labels, logits.shape[-1], ignore_index=ignore_index, shift=shift, sequence_ids=_beside(sequence_ids, labels)
    )
    if can_read(labels):
        check_targets(labels, targets, logits.shape[-1], ignore_index, require_labels=require_labels)
    seen = sequence_ids is None or (can_read(sequence_ids) and can_read(targets))
    if sequence_ids is not None and seen:
        check_ids_in_range(sequence_ids, targets != NO_TARGET, num_sequences)
    targets, sequence_ids = _beside(targets, logits), _beside(sequence_ids, logits)
    labelled = targets != NO_TARGET
    loss, entropy = _per_token(logits, targets, weight, label_smoothing, memory_gradient, overwrite_logits, kernel)
    loss = sequence_means(loss, labelled, sequence_ids, num_sequences)
    if sequence_ids is not None and not seen:
        loss = loss.masked_fill((labelled & (sequence_ids >= num_sequences)).any(), torch.nan)
    return PerSample(loss, sequence_means(entropy, labelled, sequence_ids, num_sequences))


def token_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    ignore_index: int = -100,
    weight: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
    memory_gradient: bool = False,
    overwrite_logits: bool = False,
    kernel: Kernel = "auto",
) -> PerToken:
    """Cross-entropy and prediction entropy of each token from one pass over the logits.

    The logits are read once forward and once backward, in chunks or by a fused kernel, with sums in float32; no
    other tensor of their size is made but their gradient. A logit of -inf masks an entry of the vocabulary: its
    probability is 0, its share of the entropy 0, and label smoothing passes over it (in
    torch.nn.functional.cross_entropy it makes the loss infinite). The loss is infinite where the label's own logit
    is -inf; NaN or +inf logits give NaN.

    Under torch.compile it becomes plain formulas for the compiler to fuse, and no values are checked; whether a
    tensor of the logits' size is held between forward and backward is then the compiler's choice.

    Args:
        logits: floating point, shape [batch, length, vocabulary] or [tokens, vocabulary], any strides.
        labels: int64, shape [batch, length] or [tokens].
        ignore_index, weight, label_smoothing, memory_gradient, overwrite_logits, kernel: as in :func:`tokens`.

    Returns:
        PerToken(loss, entropy), float32 (float64 for float64 logits), the labels' shape, on the logits' device.

    Raises:
        ArgumentError: shapes or dtypes do not fit; a label is outside the vocabulary (on an accelerator its loss
            is NaN instead, see :func:`tokens`).

    >>> token_loss(torch.tensor([[0.0, -torch.inf, 0.0], [1.0, 2.0, 3.0]]), torch.tensor([2, -100]))
    PerToken(loss=tensor([0.6931, 0.0000]), entropy=tensor([0.6931, 0.0000]))
    """
    check_shapes(logits, labels, label_smoothing, weight)
    targets = targets_of(labels, logits.shape[-1], ignore_index=ignore_index, shift=False, sequence_ids=None)
    if can_read(labels):
        check_targets(labels, targets, logits.shape[-1], ignore_index, require_labels=False)
    targets = _beside(targets, logits)
    return PerToken(*_per_token(logits, targets, weight, label_smoothing, memory_gradient, overwrite_logits, kernel))


def check_labels(
    labels: torch.Tensor,
    vocabulary: int,
    *,
    ignore_index: int = -100,
    shift: bool = False,
    sequence_ids: torch.Tensor | None = None,
) -> None:
    """Raise unless every label is in the vocabulary and some token has one: for a first batch, before it is trained.

    Args:
        labels, ignore_index, shift, sequence_ids: as for :func:`tokens`; on an accelerator it is waited for.
        vocabulary: columns of the logits.

    Raises:
        ArgumentError: names the label and the vocabulary's size, or says that no token has a label.
    """
    targets = targets_of(
        labels, vocabulary, ignore_index=ignore_index, shift=shift, sequence_ids=_beside(sequence_ids, labels)
    )
    check_targets(labels, targets, vocabulary, ignore_index, require_labels=True)


def _per_token(
    logits: torch.Tensor,
    targets: torch.Tensor,
    weight: torch.Tensor | None,
    smoothing: float,
    memory_gradient: bool,
    overwrite: bool,
    kernel: Kernel,
) -> tuple[torch.Tensor, torch.Tensor]:
    matrix = logits if logits.ndim == 3 else logits[None]
    loss, entropy = loss_and_entropy(
        matrix, targets.flatten(), label_smoothing=smoothing, memory_gradient=memory_gradient,
        overwrite_logits=overwrite, kernel=kernel, weight=weight,
    )  # fmt: skip
    loss = loss.view(targets.shape).masked_fill(targets == BAD_TARGET, torch.nan)
    return loss, entropy.view(targets.shape)


def _beside(moved: T, other: torch.Tensor) -> T:
    """On the other's device; the host does not wait for it on the way there."""
    return moved if moved is None else moved.to(other.device, non_blocking=other.device.type != "cpu")
