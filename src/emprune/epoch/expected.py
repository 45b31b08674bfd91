"""Which ids an iteration of an epoch gives out next."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


class ExpectedIds:
    """The ids that an iteration gives out, and how far steps have come in them.

    Nearly always a step trains the ids that come next. Comparing bytes tells, and costs a step a few microseconds,
    where looking each id up costs several times as much, out of the processor's caches after a model's step.

    Args:
        ids: int64, shape [M], of the plan; not changed later.
    """

    def __init__(self, ids: NDArray[np.int64]) -> None:
        self._ids, self._at = ids, 0

    def are_next(self, ids: torch.Tensor | bytes) -> bool:
        """Whether these are the ids that come next; False for ids on a device, which are not read.

        Args:
            ids: int64, shape [B], those on the CPU as bytes.
        """
        if not isinstance(ids, bytes):
            return False
        return self._ids[self._at : self._at + len(ids) // 8].tobytes() == ids

    def advance(self, count: int) -> None:
        """Go on by so many of them, which a step has trained."""
        self._at += count
