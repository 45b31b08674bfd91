"""Checks of a step's arguments; each raises an error that says what was given and what is allowed."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.errors import ArgumentError


def check_batch_size(batch_size: object) -> None:
    """Raise ArgumentError unless ``batch_size`` is an integer of at least 1."""
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ArgumentError("batch_size", batch_size, "an integer of at least 1")


def check_ids(ids: torch.Tensor) -> None:
    """Raise unless ``ids`` is an int64 tensor of shape [B]."""
    if not isinstance(ids, torch.Tensor) or ids.dtype != torch.int64 or ids.ndim != 1:
        found = f"{ids.dtype} of shape {tuple(ids.shape)}" if isinstance(ids, torch.Tensor) else type(ids).__name__
        raise ArgumentError("ids", found, "an int64 tensor of shape [B]", "Pass the ids that came with the batch.")


def check_per_sample(name: str, values: torch.Tensor, batch_size: int) -> None:
    """Raise unless ``values`` is a floating point tensor of shape [batch_size]."""
    if not isinstance(values, torch.Tensor) or not values.is_floating_point():
        found = values.dtype if isinstance(values, torch.Tensor) else type(values).__name__
        raise ArgumentError(name, found, "a floating point tensor of shape [B]")
    if values.ndim == 0:
        raise ArgumentError(
            name, "a scalar", f"one value a sample, shape [{batch_size}]",
            'Compute it per sample: F.cross_entropy(logits, labels, reduction="none"), or '
            "emprune.scoring.classification(logits, labels).",
        )  # fmt: skip
    if values.shape != (batch_size,):
        raise ArgumentError(name, f"of shape {tuple(values.shape)}", f"one value for each of {batch_size} ids")


def check_range(ids: NDArray[np.int64], num_samples: int) -> None:
    """Raise unless all ids are dataset positions."""
    low, high = (int(ids.min()), int(ids.max())) if len(ids) else (0, 0)
    if low < 0 or high >= num_samples:
        worst = low if low < 0 else high
        raise ArgumentError("ids", worst, f"dataset positions from 0 to {num_samples - 1}")
