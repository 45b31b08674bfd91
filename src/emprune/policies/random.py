"""Policies that look at no score: full data, static random, dynamic random, RS2."""

from __future__ import annotations

import numpy as np

from emprune.policies.base import Policy, Request
from emprune.selection import Selection


class Full(Policy):
    """All the data in every epoch, whatever the rate: the upper reference."""

    name = "full"
    source = "reference"
    looks_at_scores = False
    partitionable = True

    def epoch_size(self, num_samples: int, k: int) -> int:
        return num_samples

    def select(self, request: Request) -> Selection:
        return Selection(np.arange(len(request.table), dtype=np.int64))


class StaticRandom(Policy):
    """One uniform subset, drawn once and kept for the whole run."""

    name = "static-random"
    source = "reference"
    looks_at_scores = False
    partitionable = True
    honours = ("sample_weight", "quotas")

    def select(self, request: Request) -> Selection:
        return request.uniform(every_epoch=False)


class DynamicRandom(Policy):
    """A new uniform subset each epoch (RS2 with replacement across epochs, Okanovic et al., arXiv:2305.18424)."""

    name = "random"
    source = "Okanovic et al. 2023, arXiv:2305.18424 (with replacement)"
    streams = True
    looks_at_scores = False
    partitionable = True
    honours = ("sample_weight", "quotas")

    def select(self, request: Request) -> Selection:
        return request.uniform()


class RS2(Policy):
    """A new uniform subset each epoch, without replacement across epochs (Okanovic et al., arXiv:2305.18424).

    The samples trained least often so far, ties at random: every sample is trained once before any is
    trained twice. Counting what was trained, rather than walking through a stored permutation, needs no
    state of its own and makes up for batches that an epoch lost.
    """

    name = "rs2"
    source = "Okanovic et al. 2023, arXiv:2305.18424 (without replacement)"
    looks_at_scores = False
    partitionable = True
    honours = ("quotas",)

    def select(self, request: Request) -> Selection:
        return request.top(-request.table.times_trained.astype(np.float32))
