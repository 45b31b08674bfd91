"""What ranks tell each other: their observations once an epoch, and whether they agree. No rank arithmetic here.

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

from emprune.errors import RankError
from emprune.observations import Collected

if dist.is_available():
    # Its functions take the default group as a default argument. Imported after that group, as torch.optim does, they
    # hold it beyond destroy_process_group, and gloo's threads abort the process at its exit now and then.
    import torch.distributed.nn

_ROW = np.dtype(
    [("ids", np.int64), ("step", np.int64), ("loss", np.float32), ("memory", np.float32), ("trained", np.bool_),
     ("planned", np.bool_)]
)  # fmt: skip
"""One observation on its way: the fields of :class:`Collected`."""
_FIELDS = tuple(_ROW.fields or ())


class World:
    """The ranks that train together: here one alone; :class:`ProcessGroup` for several.

    Attributes:
        rank: of this process, from 0. size: number of ranks.
    """

    rank = 0
    size = 1

    def gather(self, column: NDArray[Any]) -> list[NDArray[Any]]:
        """Every rank's array, in the order of ranks; they may differ in length, not in dtype."""
        return [column]

    def gather_alike(self, column: NDArray[Any]) -> list[NDArray[Any]]:
        """As :meth:`gather`, of arrays that are as long on every rank: in one round instead of two."""
        return self.gather(column)

    def sum(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Every rank's int64 array, added up place by place."""
        return counts

    def deal(self, parts: list[NDArray[Any]]) -> list[NDArray[Any]]:
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

    def gather(self, column: NDArray[Any]) -> list[NDArray[Any]]:
        bytes_here = self._bytes(column)
        sizes = [int(size) for size in self._all_gather(torch.tensor([len(bytes_here)], device=self._device))]
        padded = torch.zeros(max(sizes), dtype=torch.uint8, device=self._device)
        padded[: len(bytes_here)] = bytes_here
        parts = self._all_gather(padded) if max(sizes) else [padded] * self.size
        return [
            part[:size].cpu().numpy().view(column.dtype) for part, size in zip(parts, sizes, strict=True)
        ]  # fmt: skip

    def gather_alike(self, column: NDArray[Any]) -> list[NDArray[Any]]:
        return [part.cpu().numpy().view(column.dtype) for part in self._all_gather(self._bytes(column))]

    def sum(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        summed = torch.from_numpy(counts.astype(np.int64)).to(self._device)
        dist.all_reduce(summed, group=self._group)
        return summed.cpu().numpy()

    def deal(self, parts: list[NDArray[Any]]) -> list[NDArray[Any]]:
        given = self._bytes(np.concatenate(parts))
        sizes = torch.tensor([part.nbytes for part in parts], device=self._device)
        coming = torch.empty_like(sizes)
        dist.all_to_all_single(coming, sizes, group=self._group)
        taken = torch.empty(int(coming.sum()), dtype=torch.uint8, device=self._device)
        dist.all_to_all_single(taken, given, coming.tolist(), sizes.tolist(), group=self._group)
        return [part.cpu().numpy().view(parts[0].dtype) for part in torch.split(taken, coming.tolist())]

    def _bytes(self, column: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.array(column).view(np.uint8).reshape(-1)).to(self._device)

    def _all_gather(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor, group=self._group)
        return parts


def current_world() -> World:
    """The default process group if there is one of several ranks, else this process alone."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        return ProcessGroup()
    return World()


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
    if len({part.tobytes() for part in world.gather_alike(np.frombuffer(digest, np.uint8))}) == 1:
        return
    texts = world.gather(np.frombuffer(text.encode(), np.uint8))
    first, *others = [json.loads(part.tobytes()) for part in texts]
    for name in first:
        for rank, other in enumerate(others, start=1):
            if other.get(name) != first[name]:
                raise RankError(
                    f"ranks disagree on {name}: {first[name]!r} on rank 0, {other.get(name)!r} on rank {rank}. "
                    "Build the pruner with the same arguments on every rank and train on its batches alone."
                )


def exchange(world: World, local: Collected, owner: NDArray[np.int64] | None = None) -> Collected:
    """All ranks' observations in the order in which they were made: by step, then by rank.

    They travel as rows of 26 bytes in which an id keeps its 8.

    Args:
        owner: int64, shape [M]: the one rank that each observation goes to; None: to all.
    """
    if world.size == 1:
        return local
    rows = np.empty(len(local.ids), dtype=_ROW)
    for name in _FIELDS:
        rows[name] = getattr(local, name)
    if owner is None:
        parts = world.gather(rows)
    else:
        parts = world.deal([rows[places] for places in places_by_rank(owner, world.size)])
    rows = np.concatenate(parts)  # by rank: a stable order by step keeps that
    order = np.argsort(rows["step"], kind="stable")
    return Collected(**{name: rows[name][order] for name in _FIELDS})


def places_by_rank(owner: NDArray[np.int64], ranks: int) -> list[NDArray[np.int64]]:
    """For each rank the places at which it is the owner, in increasing order.

    >>> [places.tolist() for places in places_by_rank(np.array([1, 0, 1]), 3)]
    [[1], [0, 2], []]
    """
    return np.split(np.argsort(owner, kind="stable"), np.cumsum(np.bincount(owner, minlength=ranks))[:-1])


def without_repeats(seen: Collected, reported: NDArray[np.bool_], *, in_batch: bool) -> Collected:
    """Drop training observations of samples that the epoch has reported already: the first one counts.

    They come from the filling up of a last global batch, or from the same id on two ranks.

    Args:
        reported: bool, shape [N]: samples reported before these observations.
        in_batch: keep those that went through backward, since a batch's share of the budget was spent on them.
    """
    planned = np.flatnonzero(seen.planned)
    ids = seen.ids[planned]
    place = np.empty(len(reported), dtype=np.int64)  # only places of these ids are written and read
    place[ids[::-1]] = planned[::-1]
    first = np.zeros(len(seen.ids), dtype=bool)
    first[planned] = place[ids] == planned
    kept = ~seen.planned | (first & ~reported[seen.ids])
    kept = kept | seen.trained if in_batch else kept
    return seen if kept.all() else seen.rows(np.flatnonzero(kept))
