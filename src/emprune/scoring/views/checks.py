"""What the contrastive functions are given: shapes, dtypes and settings. Values are checked elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch

from emprune.checks import check_batch_size
from emprune.errors import ArgumentError

Memory = Literal["hidden", "projector", "alignment", "none"]
OF_HIDDEN = ("hidden", "alignment")
"""Memory terms that are made of hidden features."""
Pairs = Sequence[tuple[torch.Tensor, torch.Tensor]]


def check_pair(names: tuple[str, str], first: torch.Tensor, second: torch.Tensor) -> None:
    """Raise unless both are floating point matrices of one shape."""
    check_matrix(names[0], first, "[batch, features]")
    check_matrix(names[1], second, "[batch, features]")
    if second.shape != first.shape:
        raise ArgumentError(
            names[1], _kind(second), f"shape {tuple(first.shape)}, as {names[0]}",
            "Row i of both must be two views of the same sample.",
        )  # fmt: skip


def check_matrix(name: str, features: torch.Tensor, shape: str) -> None:
    """Raise unless these are floating point features, one row each, and at least one."""
    allowed = f"floating point of shape {shape}"
    if not isinstance(features, torch.Tensor):
        raise ArgumentError(name, type(features).__name__, allowed)
    if features.ndim != 2 or not features.is_floating_point() or 0 in features.shape:
        hint = (
            "Bring it to one vector a sample: maps.mean(dim=(2, 3)), or maps.flatten(1)." if features.ndim > 2 else ""
        )
        raise ArgumentError(name, _kind(features), allowed, hint)


def check_memory(memory: Memory, hidden: Pairs, batch: int) -> None:
    """Raise unless the memory term is a known one and has the hidden features that it is made of."""
    if memory not in get_args(Memory):
        raise ArgumentError("memory", memory, ", ".join(map(repr, get_args(Memory))))
    if memory not in OF_HIDDEN:
        return
    allowed = "pairs (first view's, second view's) of hidden features, [batch, features] each"
    if not isinstance(hidden, Sequence):
        raise ArgumentError("hidden", f"a {type(hidden).__name__}", f"a sequence of {allowed}")
    if not hidden:
        raise ArgumentError(
            "hidden", "empty", f"one or more {allowed}, for memory={memory!r}",
            'Capture them with emprune.Capture(model, layers), or take memory="projector" or "none".',
        )  # fmt: skip
    for place, pair in enumerate(hidden):
        name = f"hidden[{place}]"
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise ArgumentError(
                name, f"a {type(pair).__name__}", allowed, "For a single layer write hidden=[(first, second)]."
            )
        check_pair((f"{name}[0]", f"{name}[1]"), *pair)
        if len(pair[0]) != batch:
            raise ArgumentError(name, f"features of {len(pair[0])} samples", f"of the batch's {batch}")


def check_queue(queries: torch.Tensor, keys: torch.Tensor, queue: torch.Tensor) -> None:
    """Raise unless queries, keys and queue fit each other, and the queue holds a batch or more."""
    check_pair(("queries", "keys"), queries, keys)
    check_matrix("queue", queue, "[length, features], one key a row")
    if queue.shape[1] != queries.shape[1]:
        raise ArgumentError(
            "queue", _kind(queue), f"shape [length, {queries.shape[1]}], as wide as the queries",
            "If it is stored as [features, length], pass queue.T.",
        )  # fmt: skip
    if len(queue) < len(queries):
        raise ArgumentError(
            "queue", f"of {len(queue)} keys", f"at least the {len(queries)} of a batch",
            "Build a longer queue, or train on smaller batches.",
        )  # fmt: skip


def check_settings(chunk_size: int, **temperatures: float) -> None:
    """Raise unless every temperature is a finite number above 0, and chunks hold an anchor or more."""
    for name, temperature in temperatures.items():
        if not isinstance(temperature, int | float) or not 0 < temperature < math.inf:
            raise ArgumentError(name, temperature, "a finite number above 0")
    if not isinstance(chunk_size, int) or chunk_size < 1:
        raise ArgumentError("chunk_size", chunk_size, "an integer of at least 1")


def check_enough(images: int) -> None:
    """Raise for a batch without negatives."""
    if images < 2:
        raise ArgumentError(
            "first", f"a batch of {images}", "2 samples or more: the others are its negatives",
            "Drop such a last batch (drop_last=True), or gather negatives across ranks with group.",
        )  # fmt: skip


def check_usual(batch_size: int | None, images: int) -> None:
    """Raise unless the usual batch size, if given, is not below the samples here."""
    if batch_size is None:
        return
    check_batch_size(batch_size)
    if batch_size < images:
        raise ArgumentError(
            "batch_size", batch_size, f"the usual batch size, at least the {images} samples of this batch",
            "With group it counts the samples of all ranks.",
        )  # fmt: skip


def _kind(values: torch.Tensor) -> str:
    return f"{values.dtype} of shape {tuple(values.shape)}"
