"""Several samples in a row: which token belongs to which sequence, what it predicts, and means per sequence."""

from __future__ import annotations

import torch

from emprune.errors import ArgumentError

NO_TARGET = -1
BAD_TARGET = -2


def sequence_ids_from_positions(position_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
    """Number the samples of packed rows by where their positions start again.

    A sample begins with each row and wherever a position is not its left neighbour's plus one, so it does not
    matter at which number positions start. This is how transformers separates packed samples when it is given
    ``position_ids`` (those of DataCollatorWithFlattening, or of TRL's packing) and no attention mask.

    Args:
        position_ids: int32 or int64, shape [batch, length] or [length].
        attention_mask: same shape, 0 on padding. Without it each padding token at position 0 counts as a sample
            of its own; right of all samples, and without a label, it disturbs nothing.

    Returns:
        int64, same shape and device: 0, 1, 2, … in reading order, across rows; -1 on padding.

    Raises:
        ArgumentError: shapes or dtypes do not fit.

    >>> sequence_ids_from_positions(torch.tensor([[0, 1, 2, 0, 1], [0, 1, 0, 0, 1]]))
    tensor([[0, 0, 0, 1, 1],
            [2, 2, 3, 4, 4]])
    """
    if position_ids.dtype not in (torch.int32, torch.int64) or position_ids.ndim not in (1, 2):
        found = f"{position_ids.dtype} of shape {tuple(position_ids.shape)}"
        raise ArgumentError("position_ids", found, "int32 or int64 of shape [batch, length] or [length]")
    begins = torch.ones_like(position_ids, dtype=torch.bool)
    begins[..., 1:] = position_ids[..., 1:] != position_ids[..., :-1] + 1
    if attention_mask is None:
        return begins.flatten().cumsum(0).view(position_ids.shape) - 1
    if attention_mask.shape != position_ids.shape:
        raise ArgumentError("attention_mask", f"of shape {tuple(attention_mask.shape)}", "the shape of position_ids")
    inside = attention_mask != 0
    before = torch.zeros_like(inside)
    before[..., 1:] = inside[..., :-1]
    begins = inside & (begins | ~before)
    return torch.where(inside, begins.flatten().cumsum(0).view(position_ids.shape) - 1, -1)


def sequence_ids_from_boundaries(boundaries: torch.Tensor, length: int) -> torch.Tensor:
    """Number the samples of one flattened row by where they begin and end.

    Args:
        boundaries: int32 or int64, shape [S + 1], increasing: sample s lies at boundaries[s] to boundaries[s + 1],
            the latter not included. This is the ``cu_seq_lens_q`` of FlashAttention and of transformers' collators.
        length: tokens in the row; those outside all samples are padding.

    Returns:
        int64, shape [1, length], on the boundaries' device: 0 to S - 1, -1 on padding.

    Raises:
        ArgumentError: shape or dtype does not fit.

    >>> sequence_ids_from_boundaries(torch.tensor([0, 3, 5], dtype=torch.int32), 6)
    tensor([[ 0,  0,  0,  1,  1, -1]])
    """
    if boundaries.dtype not in (torch.int32, torch.int64) or boundaries.ndim != 1 or len(boundaries) < 2:
        found = f"{boundaries.dtype} of shape {tuple(boundaries.shape)}"
        raise ArgumentError("boundaries", found, "int32 or int64 of shape [samples + 1], one sample or more")
    places = torch.arange(length, device=boundaries.device)[None]
    ids = torch.searchsorted(boundaries.long(), places, right=True) - 1
    return torch.where(ids < len(boundaries) - 1, ids, -1)


def targets_of(
    labels: torch.Tensor, vocabulary: int, *, ignore_index: int, shift: bool, sequence_ids: torch.Tensor | None
) -> torch.Tensor:
    """What each place is to predict: int64, the labels' shape; NO_TARGET, or BAD_TARGET outside the vocabulary.

    With ``shift`` a place predicts the label to its right if that belongs to the same sequence; the last place
    of a row, and of a sequence, predicts nothing, and so the first label of a sequence is predicted by none.
    Labels are shifted, not the logits: it is a copy of those that is expensive.
    """
    targets = torch.where((labels >= 0) & (labels < vocabulary), labels, BAD_TARGET)
    targets = torch.where(labels == ignore_index, NO_TARGET, targets)
    if shift:
        moved = torch.full_like(targets, NO_TARGET)
        moved[..., :-1] = targets[..., 1:]
        if sequence_ids is not None:
            moved[..., :-1].masked_fill_(sequence_ids[..., 1:] != sequence_ids[..., :-1], NO_TARGET)
        targets = moved
    return targets if sequence_ids is None else targets.masked_fill(sequence_ids < 0, NO_TARGET)


def sequence_means(
    values: torch.Tensor, labelled: torch.Tensor, sequence_ids: torch.Tensor | None, num_sequences: int
) -> torch.Tensor:
    """Mean over the labelled tokens of each sequence, shape [num_sequences]; 0 where there is none.

    Args:
        values: floating point, shape [batch, length] or [tokens], 0 where not labelled.
        labelled: bool, same shape.
        sequence_ids: same shape, for labelled tokens in [0, num_sequences); None if a row is a sequence. What
            lies outside belongs to no sequence's mean.
    """
    if sequence_ids is None:
        return values.sum(dim=1) / labelled.sum(dim=1).clamp_min(1)
    inside = labelled & (sequence_ids >= 0) & (sequence_ids < num_sequences)
    place = torch.where(inside, sequence_ids, num_sequences).flatten().long()
    sums = values.new_zeros(num_sequences + 1).index_add(0, place, values.flatten())
    counts = values.new_zeros(num_sequences + 1).index_add(0, place, inside.flatten().to(values.dtype))
    return sums[:num_sequences] / counts[:num_sequences].clamp_min(1)
