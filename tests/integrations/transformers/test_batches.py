"""Ids inside the batches that a collator makes, and collators whose rows are not the samples."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from trainer_runs import Rows
from transformers import default_data_collator

from emprune import ArgumentError
from emprune.integrations.transformers.batches import IDS, SEQUENCES, IdsIntoBatch


def dropping(samples: list[dict[str, Any]]) -> dict[str, Any]:
    return default_data_collator(samples[:-1])


def test_rows_dropped_later_are_found_too() -> None:
    collate = IdsIntoBatch(dropping)
    with pytest.raises(ArgumentError, match=r"3 row\(s\) of 4 samples"):
        collate(([4, 5, 6, 7], [Rows()[row] for row in range(4, 8)]))


def test_one_padded_row_is_no_flattened_batch() -> None:
    """A collator that keeps the first sample alone, padded to more than all of them are long."""

    def keep_one(samples: list[dict[str, Any]]) -> dict[str, Any]:
        tokens = torch.nn.functional.pad(samples[0]["input_ids"], (0, 50))
        return {"input_ids": tokens[None], "labels": tokens[None]}

    with pytest.raises(ArgumentError, match=r"1 row\(s\) of 3 samples"):
        IdsIntoBatch(keep_one)(([0, 1, 2], [Rows()[row] for row in range(3)]))


def test_ids_stand_beside_the_columns_of_the_collator() -> None:
    batch = IdsIntoBatch(default_data_collator)(([9, 4], [Rows()[9], Rows()[4]]))
    assert batch[IDS].tolist() == batch["input_ids"][:, 0].tolist() == [9, 4]
    assert SEQUENCES not in batch


def test_samples_in_one_row_are_told_apart() -> None:
    samples = [{"input_ids": [1, 2]}, {"input_ids": [3]}, {"input_ids": [4, 5]}]

    def flatten(samples: list[dict[str, Any]]) -> dict[str, Any]:
        return {"input_ids": torch.tensor([[*(token for one in samples for token in one["input_ids"]), 0]])}

    batch = IdsIntoBatch(flatten)(([7, 8, 9], samples))
    assert batch[SEQUENCES].tolist() == [[0, 0, 1, 2, 2, -1]]
    assert batch[IDS].tolist() == [7, 8, 9]
