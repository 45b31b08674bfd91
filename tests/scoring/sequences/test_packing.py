"""Sequence ids by positions and boundaries, what each place predicts, and means of what belongs together."""

from __future__ import annotations

import pytest
import torch

from emprune import ArgumentError
from emprune.scoring import (
    sequence_ids_from_boundaries,
    sequence_ids_from_positions,
)


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
