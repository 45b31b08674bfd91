"""Ids that travel inside a Trainer's batches, and a loader over the pruner's plan that puts them there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from transformers.trainer_utils import seed_worker

from emprune.errors import ArgumentError

IDS = "emprune_ids"
"""Column of a batch: int64, shape [B], the dataset positions of its samples."""

SEQUENCES = "emprune_sequences"
"""Column of a batch whose samples lie in one row without padding: int64, shape [1, T], which of its samples each token
belongs to, from 0; -1 for none."""


class IdsIntoBatch:
    """A collator that puts samples' ids into the batch that another collator makes of them.

    Args:
        collate_fn: makes a batch, a dict of tensors, of a list of samples.
    """

    def __init__(self, collate_fn: Callable[[list[Any]], Any]) -> None:
        self.collate_fn = collate_fn

    def __call__(self, fetched: tuple[list[int], list[Any]]) -> dict[str, Any]:
        """A batch of the samples fetched, with their ids.

        Raises:
            ArgumentError: the collator returns no dict, or a batch that has not one row for each sample.
        """
        ids, samples = fetched
        batch = self.collate_fn(samples)
        if not isinstance(batch, Mapping):
            raise ArgumentError("data_collator", f"one that returns {type(batch).__name__}", "one that returns a dict")
        columns: dict[str, Any] = {IDS: torch.tensor(ids, dtype=torch.int64)}
        if (rows := _rows(batch)) not in (None, len(ids)):
            sequences = _flattened(batch, samples)
            if sequences is None:
                raise ArgumentError(
                    "data_collator", f"one that makes {rows} row(s) of {len(ids)} samples", "one row for each sample",
                    "Losses would land on other samples. Drop samples from the dataset before training instead.",
                )  # fmt: skip
            columns[SEQUENCES] = sequences
        return {**batch, **columns}


def loader_options(args: Any) -> dict[str, Any]:
    """What TrainingArguments say of a training loader, as arguments of DataLoader."""
    names = ("num_workers", "pin_memory", "persistent_workers", "multiprocessing_context", "prefetch_factor")
    options = {name: getattr(args, f"dataloader_{name}", None) for name in names}
    seed = partial(seed_worker, num_workers=args.dataloader_num_workers, rank=args.process_index)
    return {**options, "drop_last": args.dataloader_drop_last, "worker_init_fn": seed}


def _rows(batch: Mapping[str, Any]) -> int | None:
    for name in ("labels", "input_ids", *batch):
        column = batch.get(name)
        if isinstance(column, torch.Tensor) and column.ndim:
            return len(column)
    return None


def _flattened(batch: Mapping[str, Any], samples: list[Any]) -> torch.Tensor | None:
    """Which sample each token belongs to, where the batch is the samples' tokens in one row; else None."""
    tokens = batch.get("input_ids")
    if not isinstance(tokens, torch.Tensor) or len(tokens) != 1:
        return None
    if not all(isinstance(sample, Mapping) and "input_ids" in sample for sample in samples):
        return None
    parts = [torch.as_tensor(sample["input_ids"]) for sample in samples]
    whole = torch.cat(parts)
    if len(whole) > tokens.shape[1] or not torch.equal(tokens[0, : len(whole)], whole.to(tokens)):
        return None
    sequences = torch.full(tokens.shape, -1, dtype=torch.int64)
    lengths = torch.tensor([len(part) for part in parts])
    sequences[0, : len(whole)] = torch.repeat_interleave(torch.arange(len(parts)), lengths)
    return sequences
