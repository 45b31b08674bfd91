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
        bytes_here = torch.from_numpy(np.array(column).view(np.uint8).reshape(-1)).to(self._device)
        sizes = [int(size) for size in self._all_gather(torch.tensor([len(bytes_here)], device=self._device))]
        padded = torch.zeros(max(sizes), dtype=torch.uint8, device=self._device)
        padded[: len(bytes_here)] = bytes_here
        parts = self._all_gather(padded) if max(sizes) else [padded] * self.size
        return [
            part[:size].cpu().numpy().view(column.dtype) for part, size in zip(parts, sizes, strict=True)
        ]  # fmt: skip

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
    if len({part.tobytes() for part in world.gather(np.frombuffer(digest, np.uint8))}) == 1:
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


def exchange(world: World, local: Collected) -> Collected:
    """All ranks' observations in the order in which they were made: by step, then by rank.

    Ids travel as int64, apart from the scores: 8 + 8 + 2 + 8 bytes an observation.
    """
    if world.size == 1:
        return local
    columns = [world.gather(column) for column in (local.ids, local.step, local.trained, local.planned)]
    ids, step, trained, planned = (np.concatenate(column) for column in columns)
    loss, memory = (np.concatenate(world.gather(column)) for column in (local.loss, local.memory))
    ranks = np.repeat(np.arange(world.size), [len(part) for part in columns[0]])
    order = np.lexsort((ranks, step))
    return Collected(
        ids[order], loss[order], memory[order], trained[order], step[order], planned[order]
    )  # fmt: skip


def without_repeats(seen: Collected, reported: NDArray[np.bool_], *, in_batch: bool) -> Collected:
    """Drop training observations of samples that the epoch has reported already: the first one counts.

    They come from the filling up of a last global batch, or from the same id on two ranks.

    Args:
        reported: bool, shape [N]: samples reported before these observations.
        in_batch: keep those that went through backward, since a batch's share of the budget was spent on them.
    """
    first = np.zeros(len(seen.ids), dtype=bool)
    planned = np.flatnonzero(seen.planned)
    first[planned[np.unique(seen.ids[planned], return_index=True)[1]]] = True
    kept = ~seen.planned | (first & ~reported[seen.ids])
    return seen.rows(np.flatnonzero(kept | seen.trained if in_batch else kept))
