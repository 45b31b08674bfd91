"""Which ids an iteration of an epoch gives out next."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


class ExpectedIds:
    """The ids that an iteration gives out, and how far steps have come in them.

    Nearly always a step trains the ids that come next. Comparing them costs a step a few microseconds, where looking each
    one up and copying them costs ten times as much, out of the processor's caches after a model's step.

    Args:
        ids: int64, shape [M], read-only, of the plan.
    """

    def __init__(self, ids: NDArray[np.int64]) -> None:
        self._ids, self._at = ids, 0

    def next(self, ids: torch.Tensor) -> NDArray[np.int64] | None:
        """The ids that come next, a view, where these are they; None where not, or where they lie on a device.

        Args:
            ids: int64, shape [B].
        """
        if not ids.is_cpu:
            return None
        expected = self._ids[self._at : self._at + len(ids)]
        return expected if memoryview(ids.numpy()) == memoryview(expected) else None

    def advance(self, count: int) -> None:
        """Go on by so many of them, which a step has trained."""
        self._at += count
