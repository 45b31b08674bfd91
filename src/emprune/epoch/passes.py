"""Whether a step passes a batch again, which is welcome, or begins a second round over its epoch, which is not.

Closures (SAM, LBFGS), two views, and parts of a batch one by one pass the same samples several times. A second round
comes back to where the epoch began: to its first step in an iteration that was begun later, or to its first half when
the rest has been passed too.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.epoch.plan import EpochPlan

StepIds = torch.Tensor | bytes
"""int64, shape [B], on a device, or their bytes."""


class Passes:
    """The training steps of one rank, from where its iteration of an epoch begins.

    A step costs a comparison. Ids are read only where there were more passes than samples, or where an iteration was
    begun in mid-epoch; ids on a device, for which that has to wait, once a round.

    Args:
        plan: of the epoch.
        share: samples that this rank trains in an iteration, as far as known.

    Attributes:
        passed: samples in training steps, each as often as it was passed.
        largest: samples in the largest of them.
        share: as given, or told by :meth:`iteration_begins`.
    """

    def __init__(self, plan: EpochPlan, share: int) -> None:
        self.passed, self.largest, self.share = 0, 0, share
        self._plan, self._limit, self._in_one_batch = plan, share, False
        self._unread: deque[tuple[StepIds, bool]] = deque()
        self._began_later = self._looks = False
        self._first: NDArray[np.int64] | None = None
        self._marks: NDArray[np.bool_] | None = None
        self._early = np.zeros(0, dtype=bool)
        self._read_passes = 0

    def iteration_begins(self, share: int, batch_size: int | None) -> None:
        """What a loader knows that begins to iterate.

        Args:
            share: samples that it will give out.
            batch_size: in one batch of this rank; None: not known.
        """
        if self.passed:
            self._began_later = self._looks = True
        else:
            self._limit = share
        self.share, self._in_one_batch = share, batch_size is not None and batch_size >= share

    def add(self, ids: StepIds, size: int) -> None:
        """Count a training step.

        Args:
            ids: not changed later.
            size: B, how many.
        """
        self._unread.append((ids, self._began_later))
        self.passed += size
        self.largest = max(self.largest, size)

    def begins_second_round(self, ids: StepIds, size: int) -> bool:
        """Whether a step with these ids would be one, or one that was added was.

        Args:
            ids: of the plan if they lie on the CPU.
            size: B, how many.
        """
        if not self._looks and self.passed + size <= self._limit:
            return False
        if not isinstance(ids, bytes):
            self._looks, self._limit = False, self.passed + max(1, self.share)
        began_later = self._began_later
        return self._read(wait=True) or self._comes_back(self._places(ids), began_later)

    @property
    def distinct(self) -> int:
        """Different samples that were passed; those of steps whose ids lie on a device only where they were read."""
        self._read(wait=False)
        return 0 if self._marks is None else int(np.count_nonzero(self._marks))

    @property
    def are_many(self) -> bool:
        """Whether each sample has been passed a hundred times, which no closure does."""
        return self.passed > 100 * max(1, self.share)

    def _read(self, *, wait: bool) -> bool:
        """Look at the steps that were added since the last time; whether one of them began a second round."""
        found = False
        while self._unread and (wait or isinstance(self._unread[0][0], bytes)):
            ids, began_later = self._unread.popleft()
            places = self._places(ids)
            found = found or self._comes_back(places, began_later)
            self._mark(places)
        return found

    def _comes_back(self, places: NDArray[np.int64], began_later: bool) -> bool:
        if self._marks is None or self._first is None:
            return False
        if began_later and np.isin(places, self._first).any():
            return True
        if self._in_one_batch or not self._early[places].any():
            return False
        done = int(np.count_nonzero(self._marks))
        return done >= self.share and int(np.count_nonzero(self._early)) < done

    def _mark(self, places: NDArray[np.int64]) -> None:
        if self._marks is None:
            self._marks, self._early = (np.zeros(self._plan.num_places, dtype=bool) for _ in range(2))
        self._read_passes += len(places)
        if self._first is None or self._read_passes <= self.share / 2:
            self._early[places] = True
        if self._first is None:
            self._first = np.unique(places)
        self._marks[places] = True

    def _places(self, ids: StepIds) -> NDArray[np.int64]:
        numbers = np.frombuffer(ids, dtype=np.int64) if isinstance(ids, bytes) else ids.cpu().numpy()
        return self._plan.places(numbers[(numbers >= 0) & (numbers < self._plan.num_samples)])
