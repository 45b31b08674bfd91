"""How often the samples of a run had been trained after each epoch: one histogram an epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Turns:
    """Takes in the training counts after each epoch; what it holds is JSON, to be saved with a checkpoint.

    Args:
        kept: what :attr:`kept` of another held.

    Attributes:
        kept: one list an epoch; entry c says how many samples had been trained c times.
    """

    def __init__(self, kept: Sequence[Sequence[int]] = ()) -> None:
        self.kept = [list(one) for one in kept]

    def after_epoch(self, epoch: int, times_trained: ArrayLike) -> None:
        """Take in the counts, int32 [N], after so many epochs.

        Taken in already, or not complete before, as of a run that an older version began, they change nothing.
        """
        if len(self.kept) == epoch - 1:
            self.kept.append(np.bincount(np.asarray(times_trained)).tolist())

    def array(self, epochs: int) -> NDArray[np.int32] | None:
        """int32, shape [E, C]; None where an epoch is missing.

        >>> turns = Turns()
        >>> turns.after_epoch(1, [0, 1, 1])
        >>> turns.after_epoch(2, [1, 1, 2])
        >>> turns.array(2).tolist()
        [[1, 2, 0], [0, 2, 1]]
        """
        if len(self.kept) != epochs or not epochs:
            return None
        filled = np.zeros((epochs, max(map(len, self.kept))), dtype=np.int32)
        for line, counts in zip(filled, self.kept, strict=True):
            line[: len(counts)] = counts
        return filled
