"""Rounds: a loader gone through whole with nothing of it reaching the pruner must not begin the epoch again."""

from __future__ import annotations

from emprune.errors import EpochOrderError
from emprune.pruner import Pruner


class Rounds:
    """Counts the iterations of a training loader.

    A look at some batches, or all of them fetched first and trained then, are no fault.

    Args:
        pruner: of the loader.
    """

    def __init__(self, pruner: Pruner) -> None:
        self._pruner = pruner
        self._begun = self._whole = (-1, 0)

    def begins(self) -> None:
        """An iteration begins.

        Raises:
            EpochOrderError: one over the same epoch was whole, and no step has reported since it began.
        """
        now = self._pruner.epoch, self._pruner.steps_reported
        if now == self._whole:
            raise EpochOrderError(
                f"epoch {now[0]} was gone through whole, but no loss of it has reached the pruner, which would give "
                "the same samples again and again. In every step write `loss = pruner.loss(ids, losses_per_sample)`, "
                "ids as they came with the batch, and call pruner.end_epoch() after each epoch, or loop over "
                "pruner.epochs(). To look at the data beforehand, take a loader of your own."
            )
        self._begun = now

    def ends(self) -> None:
        """The iteration has given out its last batch."""
        self._whole = self._begun
