"""How many samples of a batch an in-batch policy trains: shares by place in the epoch, which add up to k exactly."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.distributed.world import World
from emprune.epoch.plan import EpochPlan
from emprune.policies.base import BatchSelection

_KEPT = 64
"""Batches whose choice is kept for a second pass: the parts of one that is accumulated."""


class BatchShares:
    """Shares and choices of an epoch's batches.

    A sample's place p is how many came before it in the epoch, on all ranks. Of N samples it has the share
    ⌊(p + 1)·k/N⌋ - ⌊p·k/N⌋, 0 or 1. So a batch that is passed again, in other parts too, has the share that it had, and
    one that comes again as it was gets the same samples chosen.

    Ids on a device cannot be read in a step. There places are counted from the steps before, and a batch is known to
    come again by its tensor of ids; given as another tensor it gets the share of the next places.

    Args:
        plan: of all samples.
        k: samples that go through backward in the epoch.
        start: how many were consumed before the epoch's iteration begins.
    """

    def __init__(self, plan: EpochPlan, k: int, start: int, world: World) -> None:
        self._plan, self._k, self._start, self._world = plan, k, start, world
        self._seen = 0
        self._chosen: OrderedDict[int, tuple[torch.Tensor, int, torch.Tensor, BatchSelection]] = OrderedDict()

    def of(self, ids: torch.Tensor) -> tuple[int, int]:
        """The place of a batch's first sample, and the batch's share.

        Args:
            ids: int64, shape [B].
        """
        size, ranks = len(self._plan), self._world.size
        if ids.device.type == "cpu":
            places = self._places(ids)[1]
        else:
            of_rank = max(1, -(-(size - self._start) // ranks))
            places = self._next(self._seen % of_rank, len(ids))
        # Padding has no share: it has been trained, by this rank or another, also before a restart.
        counted = places[(places < size) & (places >= (self._start if ranks > 1 else 0))]
        share = (counted + 1) * self._k // size - counted * self._k // size
        return int(places[0]) if len(places) else 0, int(share.sum())

    def keep(self, ids: torch.Tensor, copied: torch.Tensor, chosen: BatchSelection) -> None:
        """Count a batch, and remember what was chosen of it."""
        if ids.device.type == "cpu":
            distinct, places, new = self._places(copied)
            self._place_of[distinct] = places
            self._seen += new
        else:
            self._seen += len(ids)
        self._chosen[_key(ids)] = (ids, _version(ids), copied, chosen)
        while len(self._chosen) > _KEPT:
            self._chosen.popitem(last=False)

    def chosen_before(self, ids: torch.Tensor, copied: torch.Tensor) -> BatchSelection | None:
        """What was chosen of the same batch in an earlier pass; None if it was not, or is no longer known.

        Args:
            ids: as the step was given them.
            copied: a copy of them, which nobody overwrites.
        """
        if (found := self._chosen.get(_key(ids))) is None:
            return None
        given, version, before, chosen = found
        if ids.device.type == "cpu":
            return chosen if torch.equal(before, copied) else None
        return chosen if given is ids and version == _version(ids) else None

    def _places(self, ids: torch.Tensor) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """The different ids in their order, their places, and how many of them come for the first time."""
        numbers = ids.numpy()
        distinct = numbers[np.sort(np.unique(numbers, return_index=True)[1])]
        places = self._place_of[distinct]
        new = places < 0
        count = int(np.count_nonzero(new))
        places[new] = self._next(self._seen, count)
        return distinct, places, count

    def _next(self, before: int, count: int) -> NDArray[np.int64]:
        """Places of the next samples of this rank, which has seen so many before them."""
        return self._start + before * self._world.size + self._world.rank * count + np.arange(count)

    @cached_property
    def _place_of(self) -> NDArray[np.int64]:
        """int64, shape [N]: the place of each sample, -1 for those that have not come yet."""
        places = np.full(self._plan.num_samples, -1, dtype=np.int64)
        places[self._plan.ids[: self._start]] = np.arange(self._start)
        return places


def _key(ids: torch.Tensor) -> int:
    if ids.device.type != "cpu":
        return -1 - id(ids)  # it is held, so that no other tensor gets the same
    return int(ids[0]) if len(ids) else 0


def _version(ids: torch.Tensor) -> int:
    return 0 if ids.is_inference() else ids._version
