"""Checks of arguments; each raises an error that says what was given and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.errors import ArgumentError

SCORING = (
    "the function of your task in emprune.scoring: classification, binary, multilabel, regression, dense, tokens (of "
    "sequences), contrastive or contrastive_queue"
)
"""Where a task's loss and memory term come from; errors about either name it."""


def plain(value: Any) -> Any:
    """Python's own number of a scalar of NumPy or torch; anything else as it is.

    >>> plain(np.int64(3)), plain(torch.tensor(0.5)), plain("emp")
    (3, 0.5, 'emp')
    """
    is_scalar = isinstance(value, np.generic) or (isinstance(value, np.ndarray | torch.Tensor) and value.ndim == 0)
    return value.item() if is_scalar else value


def integer(name: str, value: Any, least: int | None = None, hint: str = "") -> int:
    """The value as Python's int: an integer of Python, NumPy or a tensor without dimensions, and no bool.

    Raises:
        ArgumentError: it is none, or below ``least``.

    >>> integer("period", np.int64(3), 1)
    3
    """
    found = plain(value)
    if not isinstance(found, int) or isinstance(found, bool) or (least is not None and found < least):
        allowed = "an integer" if least is None else f"an integer of at least {least}"
        raise ArgumentError(name, found, allowed, hint)
    return found


def number(name: str, value: Any, allowed: str, fits: Callable[[float], bool]) -> float:
    """The value as Python's number: one of Python, NumPy or a tensor without dimensions, and no bool.

    Args:
        allowed: what fits, in words.
        fits: whether a number does; not asked of anything else.

    Raises:
        ArgumentError: it is no number, or does not fit.

    >>> number("tau", np.float64(0.5), "a number in (0, 1]", lambda tau: 0 < tau <= 1)
    0.5
    """
    found = plain(value)
    if not isinstance(found, int | float) or isinstance(found, bool) or not fits(found):
        raise ArgumentError(name, found, allowed)
    return found


def check_batch_size(batch_size: Any) -> int:
    """The batch size as Python's int. Raise ArgumentError unless it is an integer of at least 1."""
    return integer("batch_size", batch_size, 1)


def check_ids(ids: torch.Tensor) -> None:
    """Raise unless ``ids`` is an int64 tensor of shape [B]."""
    if not isinstance(ids, torch.Tensor) or ids.dtype != torch.int64 or ids.ndim != 1:
        raise ArgumentError(
            "ids", kind_of(ids), "an int64 tensor of shape [B]", "Pass the ids that came with the batch."
        )


def check_per_sample(name: str, values: Any, batch_size: int) -> None:
    """Raise unless ``values`` is a floating point tensor of shape [batch_size]."""
    if isinstance(values, torch.Tensor) and values.shape == (batch_size,) and values.is_floating_point():
        return
    if not isinstance(values, torch.Tensor) or not values.is_floating_point():
        found = values.dtype if isinstance(values, torch.Tensor) else type(values).__name__
        hint = "Unpack what a scoring function returns: pruner.loss(ids, *scored)." if isinstance(values, tuple) else ""
        raise ArgumentError(name, found, "a floating point tensor of shape [B]", hint)
    if values.ndim == 0:
        raise ArgumentError(
            name, "a scalar", f"one value a sample, shape [{batch_size}]",
            f"Do not reduce it: torch's losses take reduction=\"none\". Or take {SCORING}.",
        )  # fmt: skip
    hint = f"Average each sample's: {name}.flatten(1).mean(dim=1)." if len(values) == batch_size else ""
    if values.shape == (batch_size, batch_size):
        hint = (
            "A prediction of shape [B, 1] and a target of shape [B] make this, each sample's with each other's: "
            f"give both the same shape. Where it is {batch_size} outputs a sample: {name}.mean(dim=1)."
        )
    raise ArgumentError(name, f"of shape {tuple(values.shape)}", f"one value for each of {batch_size} ids", hint)


def check_range(ids: NDArray[np.int64], num_samples: int) -> None:
    """Raise unless all ids are dataset positions."""
    low, high = (int(ids.min()), int(ids.max())) if len(ids) else (0, 0)
    if low < 0 or high >= num_samples:
        worst = low if low < 0 else high
        raise ArgumentError("ids", worst, f"dataset positions from 0 to {num_samples - 1}")


def kind_of(values: Any) -> str:
    """What a value is, in the words of an error: a tensor's dtype and shape, or a type."""
    return (
        f"{values.dtype} of shape {tuple(values.shape)}" if isinstance(values, torch.Tensor) else type(values).__name__
    )
