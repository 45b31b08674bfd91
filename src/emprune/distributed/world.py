"""The ranks that train together and how they exchange arrays: one process alone, or a torch.distributed group.

Collectives happen in four places, which every rank must reach: building a pruner, ``end_epoch``, ``state_dict`` and
``load_state_dict``. Nothing else communicates, so that a rank may look at its plan or report on its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from emprune.distributed.topk import kth_smallest, kth_smallest_of_all
from emprune.errors import RankError, StateError

if dist.is_available():
    # Its functions take the default group as a default argument. Imported after that group, as torch.optim does, they
    # hold it beyond destroy_process_group, and gloo's threads abort the process at its exit now and then.
    import torch.distributed.nn


class World:
    """The ranks that train together: here one alone; :class:`ProcessGroup` for several.

    Attributes:
        rank: of this process, from 0.
        size: number of ranks.
    """

    rank = 0
    size = 1

    def all_gather(self, column: NDArray[Any]) -> list[NDArray[Any]]:
        """Every rank's array, in the order of ranks; they may differ in length, not in dtype."""
        return [column]

    def all_gather_same_size(self, column: NDArray[Any]) -> list[NDArray[Any]]:
        """As :meth:`all_gather`, of arrays of the same length on every rank: in one round instead of two."""
        return self.all_gather(column)

    def all_reduce(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Every rank's int64 array, added up place by place."""
        return counts

    def kth_smallest(self, keys: NDArray[np.float32], k: int) -> np.float32:
        """The k-th smallest of all ranks' keys, NaN last: what ``np.partition(keys, k - 1)[k - 1]`` gives."""
        return kth_smallest(keys, k) if self.size == 1 else kth_smallest_of_all(keys, k, self.all_reduce)

    def all_to_all(self, parts: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """What every rank has for this one, in the order of ranks.

        Args:
            parts: what this rank has for each rank; one dtype on all ranks.
        """
        return parts


class ProcessGroup(World):
    """The ranks of a torch.distributed process group, of any backend.

    Args:
        group: None: the default group.
    """

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self._group = group
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)
        # NCCL moves tensors of a device only.
        on_device = "nccl" in str(dist.get_backend(group))
        self._device = torch.device("cuda", torch.cuda.current_device()) if on_device else torch.device("cpu")

    def all_gather(self, column: NDArray[Any]) -> list[NDArray[Any]]:
        bytes_here = self._bytes(column)
        sizes = [int(size) for size in self._gather_tensors(torch.tensor([len(bytes_here)], device=self._device))]
        padded = torch.zeros(max(sizes), dtype=torch.uint8, device=self._device)
        padded[: len(bytes_here)] = bytes_here
        parts = self._gather_tensors(padded) if max(sizes) else [padded] * self.size
        return [
            part[:size].cpu().numpy().view(column.dtype) for part, size in zip(parts, sizes, strict=True)
        ]  # fmt: skip

    def all_gather_same_size(self, column: NDArray[Any]) -> list[NDArray[Any]]:
        return [part.cpu().numpy().view(column.dtype) for part in self._gather_tensors(self._bytes(column))]

    def all_reduce(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        summed = torch.from_numpy(counts.astype(np.int64)).to(self._device)
        dist.all_reduce(summed, group=self._group)
        return summed.cpu().numpy()

    def all_to_all(self, parts: list[NDArray[Any]]) -> list[NDArray[Any]]:
        given = self._bytes(np.concatenate(parts))
        sizes = torch.tensor([part.nbytes for part in parts], device=self._device)
        coming = torch.empty_like(sizes)
        dist.all_to_all_single(coming, sizes, group=self._group)
        taken = torch.empty(int(coming.sum()), dtype=torch.uint8, device=self._device)
        dist.all_to_all_single(taken, given, coming.tolist(), sizes.tolist(), group=self._group)
        return [part.cpu().numpy().view(parts[0].dtype) for part in torch.split(taken, coming.tolist())]

    def _bytes(self, column: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.array(column).view(np.uint8).reshape(-1)).to(self._device)

    def _gather_tensors(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor, group=self._group)
        return parts


def current_world() -> World:
    """The default process group if there is one of several ranks, else this process alone."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        return ProcessGroup()
    return World()


def check_current(world: World) -> None:
    """Raise RankError where more ranks, or fewer, train together now than when ``world`` was asked for.

    A group that has been destroyed since is none that trains.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == world.size:
        return
    raise RankError(
        f"the pruner was built for {world.size} rank(s), but the process group that is running now has "
        f"{dist.get_world_size()}: they would train the same samples, or leave some out. Build the pruner after "
        "init_process_group (after the Accelerator or the TrainingArguments, which call it). Where the pruner's ranks "
        "are others than the group's, as with tensor or pipeline parallelism, give "
        "Pruner(world=emprune.distributed.ProcessGroup(group)), or world=emprune.distributed.World() for one alone."
    )


def raise_together(world: World, failure: Exception | None) -> None:
    """Raise on every rank what happened on one; the others would wait for it otherwise. All ranks must call it.

    Raises:
        StateError: names the first rank with a failure; that one raises its own.
    """
    message = "" if failure is None else str(failure) or type(failure).__name__
    messages = world.all_gather(np.frombuffer(message.encode(), np.uint8))
    if failure:
        raise failure
    for rank, found in enumerate(messages):
        if len(found):
            raise StateError(f"rank {rank}: {found.tobytes().decode()}")


def check_agreement(world: World, values: Mapping[str, Any]) -> None:
    """Raise the same error on every rank unless all have the same values; costs 16 bytes a rank if they do.

    Args:
        values: JSON values by name.

    Raises:
        RankError: names the first value that differs, and the ranks.
    """
    if world.size == 1:
        return
    text = json.dumps(values, sort_keys=False)
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    if len({part.tobytes() for part in world.all_gather_same_size(np.frombuffer(digest, np.uint8))}) == 1:
        return
    texts = world.all_gather(np.frombuffer(text.encode(), np.uint8))
    first, *others = [json.loads(part.tobytes()) for part in texts]
    for name in first:
        for rank, other in enumerate(others, start=1):
            if other.get(name) != first[name]:
                raise RankError(
                    f"ranks disagree on {name}: {first[name]!r} on rank 0, {other.get(name)!r} on rank {rank}. "
                    "Build the pruner with the same arguments on every rank and train on its batches alone."
                )


def places_by_rank(owner: NDArray[np.int64], ranks: int) -> list[NDArray[np.int64]]:
    """For each rank the places at which it is the owner, in increasing order.

    >>> [places.tolist() for places in places_by_rank(np.array([1, 0, 1]), 3)]
    [[1], [0, 2], []]
    """
    return np.split(np.argsort(owner, kind="stable"), np.cumsum(np.bincount(owner, minlength=ranks))[:-1])
