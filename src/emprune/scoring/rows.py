"""Checks of what a scoring function is given, and errors that name the row at fault."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from emprune.checks import kind_of
from emprune.errors import ArgumentError


def check_kind(
    name: str,
    values: object,
    dtypes: Sequence[torch.dtype] | None,
    shape: tuple[int, ...],
    allowed: str,
    hint: str = "",
) -> None:
    """Raise ArgumentError unless ``values`` is a tensor of one of the dtypes and the shape.

    Args:
        dtypes: None: any floating point.
        allowed: what it must be, without its shape.
    """
    fits = isinstance(values, torch.Tensor) and tuple(values.shape) == shape
    if fits:
        fits = values.is_floating_point() if dtypes is None else values.dtype in dtypes  # type: ignore[attr-defined]
    if not fits:
        raise ArgumentError(name, kind_of(values), f"{allowed}, of shape {list(shape)}", hint)


def raise_at(name: str, values: torch.Tensor, wrong: torch.Tensor, allowed: str, hint: str = "") -> None:
    """Raise ArgumentError for the first value that is wrong, with its place, the row first.

    Args:
        values: shape [B, ...].
        wrong: bool, same shape, True somewhere; read here.
    """
    places = wrong.nonzero()
    first = tuple(places[0].tolist())
    rows = len(set(places[:, 0].tolist()))
    more = f" (and in {rows - 1} more of {len(values)} rows)" if rows > 1 else ""
    raise ArgumentError(f"{name}[{', '.join(map(str, first))}]", values[first].item(), f"{allowed}{more}", hint)


def beside(moved: torch.Tensor, other: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """On the other's device, of this dtype if given; the host does not wait for it on the way there."""
    waits = other.device.type == "cpu"
    return moved.to(other.device, dtype or moved.dtype, non_blocking=not waits)
