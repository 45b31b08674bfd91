"""EpochPlan: the frozen answer to "what does this epoch train on, in which order, with which weight"."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emprune.errors import EmpruneError
from emprune.policies.base import Policy, Request
from emprune.seeding import generator
from emprune.selection import Selection


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
    num_samples = len(request.table)
    if request.k == num_samples or policy.within_batch:
        selection = Selection(np.arange(num_samples, dtype=np.int64))
    else:
        selection = policy.select(request)
        _check_selection(policy, selection, request.k, num_samples)
    return shuffled(selection, num_samples, request.epoch, request.seed)


def shuffled(selection: Selection, num_samples: int, epoch: int, seed: int) -> EpochPlan:
    """Put a selection into the epoch's random order."""
    rng = generator(seed, epoch, "order")
    if selection.weights is None:
        ids = rng.permutation(selection.ids)
        return EpochPlan(epoch, num_samples, ids, np.ones(len(ids), dtype=np.float32))
    # An id and its weight share 8 bytes: one pass through memory at random places instead of three.
    pairs = np.empty(len(selection.ids), dtype=[("id", np.uint32), ("weight", np.float32)])
    pairs["id"], pairs["weight"] = selection.ids, selection.weights
    rng.shuffle(pairs.view(np.int64))
    return EpochPlan(epoch, num_samples, pairs["id"].astype(np.int64), pairs["weight"].copy())


def _check_selection(policy: Policy, selection: Selection, k: int, num_samples: int) -> None:
    ids, weights = selection.ids, selection.weights
    fault = None
    if ids.dtype != np.int64 or ids.ndim != 1:
        fault = f"ids of dtype {ids.dtype} and shape {ids.shape}; allowed: int64 of shape [k]"
    elif len(ids) != (policy.epoch_size(num_samples, k) or len(ids)):
        fault = f"{len(ids)} ids; asked for k = {k}"
    elif len(ids) and not 0 <= ids.min() <= ids.max() < num_samples:
        fault = f"ids from {ids.min()} to {ids.max()}; allowed: 0 to {num_samples - 1}"
    elif weights is not None and weights.shape != ids.shape:
        fault = f"weights of shape {weights.shape} for ids of shape {ids.shape}"
    else:
        chosen = np.zeros(num_samples, dtype=bool)
        chosen[ids] = True
        distinct = int(np.count_nonzero(chosen))
        if distinct != len(ids):
            fault = f"{len(ids) - distinct} repeated ids"
    if fault:
        raise EmpruneError(f"policy {policy.name!r} returned {fault}. Mend its select().")
