"""What an interactive figure of the page is, and how its data travel inside the page."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emprune_lab.report.comparison import Comparison

_KINDS = {np.dtype(np.uint8): "u8", np.dtype(np.uint16): "u16", np.dtype(np.uint32): "u32", np.dtype(np.float32): "f32"}
_STEPS = 2**16 - 1


@dataclass(frozen=True)
class View:
    """One kind of interactive figure; every file in :mod:`emprune_lab.report.explore` has one, called VIEW.

    Attributes:
        name: of its script under ``templates/views``.
        title: its heading.
        caption: how to read it.
        data: (comparison, part of the page's room that is this setting's, in (0, 1]) → JSON values, arrays among them
            :func:`packed`.
        applies: whether there is something to show.
        replaces: names of the figures that the page leaves out because this says the same; they remain as files.
        order: places among figures and views ascend by it.
    """

    name: str
    title: str
    caption: str
    data: Callable[[Comparison, float], Mapping[str, Any]]
    applies: Callable[[Comparison], bool]
    replaces: tuple[str, ...] = ()
    order: int = 100


def packed(values: ArrayLike) -> dict[str, str]:
    """An array of whole numbers in [0, 2³²), or of float32, as the page's scripts unpack it; its shape is lost."""
    array = np.asarray(values)
    if array.dtype != np.float32:
        most = int(array.max(initial=0))
        array = array.astype(np.uint8 if most < 2**8 else np.uint16 if most < 2**16 else np.uint32)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return {"type": _KINDS[array.dtype], "base64": base64.b64encode(little.tobytes()).decode()}


def quantised(values: NDArray[np.float32], *, log: bool) -> dict[str, Any]:
    """Finite numbers in two bytes each: 65,536 steps between the lowest and the highest, or between their logarithms.

    Args:
        values: positive where ``log``.
    """
    scaled = np.log(values.astype(np.float64)) if log else values.astype(np.float64)
    low, high = float(scaled.min(initial=math.inf)), float(scaled.max(initial=-math.inf))
    if not len(scaled):
        low = high = 0.0
    steps = np.rint((scaled - low) / (high - low or 1.0) * _STEPS)
    return {**packed(steps.astype(np.int64)), "low": low, "high": high, "log": log}


def as_json(value: object) -> str:
    """JSON that may stand in a script element of a page."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
