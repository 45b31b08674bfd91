"""How many samples of a batch an in-batch policy trains: shares by place in the plan, which add up to k exactly."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.distributed.partition import rank_of
from emprune.distributed.world import World
from emprune.epoch.plan import EpochPlan
from emprune.policies.base import BatchSelection

_KEPT = 64
"""Batches whose choice is kept for a second pass: the parts of one that is accumulated."""


class BatchShares:
    """Shares and choices of an epoch's batches.

    The place p of a plan of N samples has the share ⌊(p + 1)·k/N⌋ - ⌊p·k/N⌋, 0 or 1. So a batch's share does not depend
    on how often, in which order or in which parts it comes, and a batch that comes again gets the same samples chosen.

    Ids on a device cannot be read in a step. There places are counted from the steps before, and a batch is known to
    come again by its tensor of ids; given as another tensor it gets the share of the next places.

    Args:
        plan: of all samples.
        k: samples that go through backward in the epoch.
        start: place at which the epoch's iteration begins.

    Attributes:
        batch_size: samples of this rank in a step; 0: not known.
    """

    def __init__(self, plan: EpochPlan, k: int, start: int, world: World) -> None:
        self.batch_size = 0
        self._plan, self._k, self._start, self._world = plan, k, start, world
        self._chosen: OrderedDict[int, tuple[torch.Tensor, int, torch.Tensor, BatchSelection]] = OrderedDict()

    def of(self, ids: torch.Tensor, passed: int) -> tuple[int, int]:
        """The place of a batch's first sample, and the batch's share.

        Args:
            ids: int64, shape [B].
            passed: samples in the steps of this rank before.
        """
        size, ranks, rank = len(self._plan), self._world.size, self._world.rank
        if ids.device.type != "cpu":
            left = size - self._start
            begin = self._start + passed % -(-left // ranks) * ranks + rank * len(ids) if left else size
            places = np.arange(begin, min(begin + len(ids), size))  # padding has no share
        else:
            places = np.unique(self._place_of[ids.numpy()])
            begin = int(self._place_of[ids[0]]) if len(ids) else 0
            if ranks > 1 and self.batch_size:
                whose = rank_of(places, self._start, size, self.batch_size, ranks)
                places = places[(places >= self._start) & (whose == rank)]
        return begin, int(((places + 1) * self._k // size - places * self._k // size).sum())

    def keep(self, ids: torch.Tensor, copied: torch.Tensor, chosen: BatchSelection) -> None:
        """Remember what was chosen of a batch."""
        self._chosen[self._key(ids)] = (ids, _version(ids), copied, chosen)
        while len(self._chosen) > _KEPT:
            self._chosen.popitem(last=False)

    def chosen_before(self, ids: torch.Tensor, copied: torch.Tensor) -> BatchSelection | None:
        """What was chosen of the same batch in an earlier pass; None if it was not, or is no longer known.

        Args:
            ids: as the step was given them.
            copied: a copy of them, which nobody overwrites.
        """
        given, version, before, chosen = self._chosen.get(self._key(ids), (None, 0, copied, None))
        if ids.device.type == "cpu":
            return chosen if chosen is not None and torch.equal(before, copied) else None
        return chosen if given is ids and version == _version(ids) else None

    def _key(self, ids: torch.Tensor) -> int:
        if ids.device.type != "cpu":
            return -1 - id(ids)
        return int(ids[0]) if len(ids) else 0

    @cached_property
    def _place_of(self) -> NDArray[np.int64]:
        """int64, shape [N]: the place of each sample in the plan."""
        places = np.empty(self._plan.num_samples, dtype=np.int64)
        places[self._plan.ids] = np.arange(len(self._plan))
        return places


def _version(ids: torch.Tensor) -> int:
    return 0 if ids.is_inference() else ids._version
