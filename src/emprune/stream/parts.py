"""The chosen samples of a batch, whatever a batch is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from emprune.errors import ArgumentError


def part_of(batch: Any, positions: torch.Tensor, size: int) -> Any:
    """A batch of the same make, of the samples at these positions alone.

    Args:
        batch: tensors and arrays whose first dimension is B, lists of B values, and dicts, lists and tuples of these
            (of fewer or more than B values); what has no dimension, and None, stays as it is.
        positions: int64, shape [b].
        size: B.

    Raises:
        ArgumentError: a tensor has another first dimension.
    """
    if isinstance(batch, torch.Tensor | np.ndarray):
        if batch.ndim == 0:
            return batch
        if len(batch) != size:
            raise ArgumentError(
                "batch", f"one with {type(batch).__name__} of shape {tuple(batch.shape)}",
                f"tensors of shape [{size}, ...], the number of losses",
                "Cut the samples out yourself: chosen = pruner.select(loss, memory), then batch[chosen.positions].",
            )  # fmt: skip
        if isinstance(batch, torch.Tensor):
            return batch.index_select(0, positions.to(batch.device, non_blocking=True))
        return batch[positions.cpu().numpy()]
    if isinstance(batch, Mapping):
        parts = {key: part_of(value, positions, size) for key, value in batch.items()}
        return parts if type(batch) is dict else _of_the_same_type(batch, parts)
    if isinstance(batch, list) and len(batch) == size and not _are_columns(batch, size):
        return [batch[place] for place in positions.tolist()]
    if isinstance(batch, tuple | list):
        columns = [part_of(value, positions, size) for value in batch]
        return type(batch)(*columns) if hasattr(batch, "_fields") else type(batch)(columns)
    return batch


def _are_columns(values: list[Any], size: int) -> bool:
    """Whether a list of as many values as samples is one of columns, as of images and labels in a batch of two."""
    return all(isinstance(value, torch.Tensor | np.ndarray) and value.shape[:1] == (size,) for value in values)


def _of_the_same_type(batch: Mapping[Any, Any], parts: dict[Any, Any]) -> Any:
    try:
        return type(batch)(parts)  # type: ignore[call-arg]
    except TypeError:
        return parts
