"""Sequence ids by positions and boundaries, what each place predicts, and means of what belongs together."""

from __future__ import annotations

import pytest
import torch

from emprune import ArgumentError
from emprune.scoring import sequence_ids_from_boundaries, sequence_ids_from_positions
from emprune.scoring.sequences.packing import BAD_TARGET, NO_TARGET, sequence_means, targets_of


def test_left_padding_and_one_dimension() -> None:
    ids = sequence_ids_from_positions(torch.tensor([1, 1, 0, 1, 0]), torch.tensor([0, 0, 1, 1, 1]))
    assert ids.tolist() == [-1, -1, 0, 0, 1]
    counted_on = sequence_ids_from_positions(torch.tensor([[0, 1, 2, 3]]), torch.tensor([[0, 0, 1, 1]]))
    assert counted_on.tolist() == [[-1, -1, 0, 0]]


def test_bad_positions_and_boundaries() -> None:
    with pytest.raises(ArgumentError, match=r"position_ids is 'torch\.float32"):
        sequence_ids_from_positions(torch.zeros(3))
    with pytest.raises(ArgumentError, match="attention_mask is"):
        sequence_ids_from_positions(torch.zeros(1, 3, dtype=torch.int64), torch.ones(3))
    with pytest.raises(ArgumentError, match="boundaries is"):
        sequence_ids_from_boundaries(torch.tensor([0]), 3)


def test_targets_are_the_labels_to_the_right_within_a_sequence() -> None:
    labels = torch.tensor([[3, 4, -100, 9, 2, 1]])
    ids = torch.tensor([[0, 0, 0, 1, 1, -1]])
    options = {"ignore_index": -100, "sequence_ids": ids}
    assert targets_of(labels, 5, shift=False, **options).tolist() == [[3, 4, NO_TARGET, BAD_TARGET, 2, NO_TARGET]]
    assert targets_of(labels, 5, shift=True, **options).tolist() == [
        [4, NO_TARGET, NO_TARGET, 2, NO_TARGET, NO_TARGET]
    ]  # fmt: skip
    assert labels.tolist() == [[3, 4, -100, 9, 2, 1]]


def test_means_are_over_what_is_labelled_and_belongs_to_a_sequence() -> None:
    values, labelled = torch.tensor([[1.0, 3.0, 8.0], [5.0, 0.0, 7.0]]), torch.tensor([[True] * 3, [True, False, True]])
    ids = torch.tensor([[0, 0, 2], [-1, 2, 4]])
    assert sequence_means(values, labelled, ids, 4).tolist() == [2, 0, 8, 0]
    assert sequence_means(values, labelled, None, 2).tolist() == [4, 6]
