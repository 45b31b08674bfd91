"""An order of training that reads shards one after another, for data that lie in files of many samples each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.checks import integer, plain
from emprune.errors import ArgumentError

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class Blocks:
    """A block-wise shuffle: ``Pruner(..., order=Blocks(samples_per_shard))``. An epoch trains the same samples with it.

    Shards come in a random order, new each epoch, ``at_once`` of them at a time; their samples that the epoch trains
    are mixed with each other, every order equally likely. So a reader that holds ``at_once`` shards opens each once an
    epoch, where a plain shuffle opens one for nearly every sample. Batches are as mixed as ``at_once`` shards are:
    where files are sorted, by class, say, take many. Of several ranks each reads a part of every group of shards.

    Args:
        sizes: samples of each shard, in the order of the data set, N in sum; or one number for all shards but the last.
            A MosaicML StreamingDataset has them as ``dataset.samples_per_shard``.
        at_once: shards that are mixed, at least 1.

    Raises:
        ArgumentError: a size is no integer of at least 1, or ``at_once`` is below 1.

    >>> Blocks(2, at_once=1).places(np.array([0, 1, 2, 3, 4, 5]), 6, np.random.default_rng(0)).tolist()
    [2, 3, 4, 5, 1, 0]
    """

    sizes: int | Sequence[int]
    at_once: int = 8

    def __post_init__(self) -> None:
        sizes: Any = plain(self.sizes)
        if isinstance(sizes, int):
            object.__setattr__(self, "sizes", integer("sizes", sizes, 1))
        else:
            given = sizes.detach().cpu().numpy() if isinstance(sizes, torch.Tensor) else sizes
            found = np.asarray(given)
            if found.ndim != 1 or not len(found) or found.dtype.kind not in "iu" or found.min() < 1:
                shown = f"{found.dtype} of shape {found.shape}" if found.dtype.kind not in "iu" else given
                raise ArgumentError("sizes", shown, "the samples of a shard, or of each: integers of at least 1")
            object.__setattr__(self, "sizes", found.astype(np.int64))
        object.__setattr__(self, "at_once", integer("at_once", self.at_once, 1))

    def __repr__(self) -> str:
        shown = f"{self.sizes}" if isinstance(self.sizes, int) else f"{len(self.sizes)} shards"
        return f"Blocks({shown}, at_once={self.at_once})"

    def check(self, num_samples: int) -> None:
        """Raise ArgumentError unless the shards hold so many samples."""
        total = num_samples if isinstance(self.sizes, int) else int(np.sum(self.sizes))
        if total != num_samples:
            raise ArgumentError(
                "order", f"of shards with {total} samples in all", f"of {num_samples}, as the data set",
                "Give the size of every shard that the data set reads, in its order.",
            )  # fmt: skip

    def shard_of(self, ids: Ids) -> Ids:
        """int64: the shard, from 0, that each sample lies in.

        Args:
            ids: int64, any shape, dataset positions.
        """
        if isinstance(self.sizes, int):
            return ids // self.sizes
        return np.searchsorted(np.cumsum(self.sizes), ids, side="right")

    def places(self, ids: Ids, num_samples: int, rng: np.random.Generator) -> Ids:
        """int64, shape [k]: which of the ids stands at each place of the order.

        Args:
            ids: int64, shape [k], distinct, in [0, N).
            num_samples: N.
            rng: in the same state on every rank.
        """
        count = -(-num_samples // self.sizes) if isinstance(self.sizes, int) else len(self.sizes)
        group = rng.permutation(count)[self.shard_of(ids)] // self.at_once
        return np.lexsort((rng.random(len(ids)), group))

    def settings(self) -> dict[str, Any]:
        """What a state must agree on."""
        return {"sizes": self.sizes, "at_once": self.at_once}
