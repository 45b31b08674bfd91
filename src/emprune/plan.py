"""EpochPlan: the frozen answer to "what does this epoch train on, in which order, with which weight"."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emprune.errors import EmpruneError
from emprune.ordering import order
from emprune.policies.base import Policy, Request
from emprune.seeding import generator
from emprune.selection import Selection
from emprune.shard import Shard


@dataclass(frozen=True, eq=False)
class EpochPlan:
    """One epoch's samples in training order. Arrays are read-only; equality is equality of digests.

    Attributes:
        epoch: which epoch, from 0.
        num_samples: N, the size of the data set.
        ids: int64, shape [k], distinct dataset positions in the order of training.
        weights: float32, shape [k], factor of each sample's loss.
    """

    epoch: int
    num_samples: int
    ids: NDArray[np.int64]
    weights: NDArray[np.float32]

    def __post_init__(self) -> None:
        self.ids.flags.writeable = False
        self.weights.flags.writeable = False

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EpochPlan) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"EpochPlan(epoch={self.epoch}, kept={len(self)}/{self.num_samples}, digest={self.digest[:12]})"

    @cached_property
    def digest(self) -> str:
        """Hex digest of epoch, ids in order and weights: equal on all ranks that agree."""
        head = f"{self.epoch}/{self.num_samples}/{len(self)}".encode()
        body = hashlib.blake2b(head, digest_size=16)
        body.update(self.ids.tobytes())
        body.update(self.weights.tobytes())
        return body.hexdigest()

    @cached_property
    def weight_of(self) -> NDArray[np.float32]:
        """float32, shape [N]: the weight by sample id, NaN for a sample outside the plan."""
        dense = np.full(self.num_samples, np.nan, dtype=np.float32)
        dense[self.ids] = self.weights
        return dense

    @property
    def count(self) -> int:
        """k, the samples that the epoch trains."""
        return len(self)

    @property
    def row_weights(self) -> NDArray[np.float32]:
        """float32, shape [rows]: the weight of each row of this rank's score table, NaN outside the plan."""
        return self.weight_of

    @property
    def left_out(self) -> NDArray[np.int64]:
        """int64, shape [N - k]: the ids that the epoch does not train, in increasing order."""
        return np.flatnonzero(np.isnan(self.weight_of))

    @cached_property
    def is_weighted(self) -> bool:
        """Whether any weight differs from 1."""
        return bool((self.weights != 1).any())


def make_plan(policy: Policy, request: Request) -> EpochPlan:
    """Ask a policy for an epoch's samples, check the answer and shuffle it.

    A full epoch (k = N) and an epoch of an in-batch policy are all the data, without asking.

    Raises:
        EmpruneError: the policy's answer is not k distinct ids in [0, N).
    """
    return shuffled(selected(policy, request), len(request.table), request.epoch, request.seed)


def selected(policy: Policy, request: Request) -> Selection:
    """What a policy selects of the table's rows, checked; rows of the shard where it holds a part only.

    Raises:
        EmpruneError: as :func:`make_plan`.
    """
    shard = request.table.shard
    if request.k == shard.num_samples or policy.within_batch:
        return Selection(np.arange(shard.rows, dtype=np.int64))
    selection = policy.select(request)
    _check_selection(policy, selection, request.k, shard)
    return selection


def shuffled(selection: Selection, num_samples: int, epoch: int, seed: int) -> EpochPlan:
    """Put a selection into the epoch's random order."""
    places = order(len(selection.ids), generator(seed, epoch, "order"))
    weights = np.ones(len(places), dtype=np.float32) if selection.weights is None else selection.weights[places]
    return EpochPlan(epoch, num_samples, selection.ids[places], weights)


def _check_selection(policy: Policy, selection: Selection, k: int, shard: Shard) -> None:
    ids, weights, rows = selection.ids, selection.weights, shard.rows
    fault = None
    if ids.dtype != np.int64 or ids.ndim != 1:
        fault = f"ids of dtype {ids.dtype} and shape {ids.shape}; allowed: int64 of shape [k]"
    elif len(ids) and not 0 <= ids.min() <= ids.max() < rows:
        fault = f"ids from {ids.min()} to {ids.max()}; allowed: 0 to {rows - 1}"
    elif weights is not None and weights.shape != ids.shape:
        fault = f"weights of shape {weights.shape} for ids of shape {ids.shape}"
    else:
        chosen = np.zeros(rows, dtype=bool)
        chosen[ids] = True
        distinct = int(np.count_nonzero(chosen))
        if distinct != len(ids):
            fault = f"{len(ids) - distinct} repeated ids"
    # One rank must not stop alone, or the others wait for it.
    totals = shard.counts(len(ids), int(fault is not None)).sum(axis=0)
    if not fault and totals[0] != (policy.epoch_size(shard.num_samples, k) or totals[0]):
        fault = f"{totals[0]} ids; asked for k = {k}"
    if fault or totals[1]:
        fault = fault or "a fault on another rank"
        raise EmpruneError(f"policy {policy.name!r} returned {fault}. Mend its select().")
