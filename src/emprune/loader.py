"""From plan to batches: a sampler, a DataLoader whose batches carry ids, and batches of ids alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from emprune.checks import check_batch_size
from emprune.errors import ArgumentError
from emprune.pruner import Pruner
from emprune.seeding import derive_seed

_CHUNK = 65_536


class PlanSampler(Sampler[int]):
    """The running epoch's sample ids in training order.

    Iterating changes nothing: every iterator of an epoch gives the same ids, until ``end_epoch``. With several ranks
    these are this rank's, as by :mod:`emprune.distributed.partition`.

    Args:
        pruner: whose running epoch is iterated.
        batch_size: samples a batch of this rank; may be left out where there is one rank alone.
        drop_last: leave out a smaller last global batch.
    """

    def __init__(self, pruner: Pruner, batch_size: int | None = None, *, drop_last: bool = False) -> None:
        self.pruner, self.batch_size, self.drop_last = pruner, batch_size, drop_last

    def __iter__(self) -> Iterator[int]:
        ids = self.pruner.rank_ids(self.batch_size, drop_last=self.drop_last)
        for begin in range(0, len(ids), _CHUNK):
            yield from ids[begin : begin + _CHUNK].tolist()

    def __len__(self) -> int:
        return len(self.pruner.rank_ids(self.batch_size, drop_last=self.drop_last))


class IdBatches:
    """Batches of ids alone, for data that already lies in memory or on the device: ``images[ids]``.

    Args:
        pruner: whose running epoch is iterated.
        batch_size: samples a batch of this rank, the last one smaller unless dropped.
        drop_last: leave out a smaller last (global) batch; those samples then stay untrained in this epoch.
    """

    def __init__(self, pruner: Pruner, batch_size: int, *, drop_last: bool = False) -> None:
        check_batch_size(batch_size)
        self.pruner, self.batch_size, self.drop_last = pruner, batch_size, drop_last

    def __iter__(self) -> Iterator[torch.Tensor]:
        """Yield int64 tensors of shape [B] on the CPU."""
        ids = torch.from_numpy(self.pruner.rank_ids(self.batch_size, drop_last=self.drop_last).copy())
        if len(ids):
            yield from torch.split(ids, self.batch_size)

    def __len__(self) -> int:
        ids = self.pruner.rank_ids(self.batch_size, drop_last=self.drop_last)
        return -(-len(ids) // self.batch_size)


class PrunedLoader(DataLoader[Any]):
    """A DataLoader over the running epoch's plan; yields ``(ids, batch)``.

    Args:
        dataset: map-style, of the pruner's length.
        pruner: decides what each epoch holds.
        batch_size, collate_fn, options: as for DataLoader. ``sampler``, ``batch_sampler`` and ``shuffle``
            are the pruner's; ``drop_last=True`` leaves out up to batch_size - 1 samples an epoch.

    Raises:
        ArgumentError: the dataset has another length than the pruner, or an option is the pruner's.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        pruner: Pruner,
        batch_size: int = 1,
        *,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        **options: Any,
    ) -> None:
        self.pruner = pruner
        super().__init__(**loader_arguments(dataset, pruner, batch_size, collate_fn, PlanSampler, options))

    def __iter__(self) -> Any:
        seed_workers(self.generator, self.pruner)  # DataLoader draws its workers' seeds here
        return super().__iter__()

    @property
    def _is_accelerate_prepared(self) -> bool:
        """Asked by ``accelerator.prepare``, which partitions the batches of a loader unless it has done so before."""
        return check_not_dealt(self.pruner)


def loader_arguments(
    dataset: Dataset[Any],
    pruner: Pruner,
    batch_size: int,
    collate_fn: Callable[[list[Any]], Any] | None,
    sampler: type[PlanSampler],
    options: dict[str, Any],
) -> dict[str, Any]:
    """The arguments of a DataLoader, or one like it, that makes it yield ``(ids, batch)`` of the running epoch.

    Args:
        sampler: class of the sampler over the plan.
        dataset, pruner, batch_size, collate_fn, options: as for :class:`PrunedLoader`.

    Raises:
        ArgumentError: as PrunedLoader.
    """
    _check_loader(dataset, pruner, options)
    check_batch_size(batch_size)
    return {
        **options,
        "dataset": _WithId(dataset),
        "batch_size": batch_size,
        "sampler": sampler(pruner, batch_size, drop_last=bool(options.get("drop_last", False))),
        "collate_fn": _CollateWithIds(collate_fn or default_collate),
        "generator": torch.Generator() if options.get("generator") is None else options["generator"],
    }


def check_not_dealt(pruner: Pruner) -> bool:
    """False; with several ranks an error, since a pruner's loader gives each of them its part already.

    Raises:
        ArgumentError: there are several.
    """
    if pruner.world.size > 1:
        raise ArgumentError(
            "loader", "a pruner's, given to accelerator.prepare",
            "what emprune.integrations.accelerate.prepare_loader(accelerator, loader) makes of it",
            f"Each of the {pruner.world.size} ranks would train a part of its part of the plan.",
        )  # fmt: skip
    return False


def seed_workers(generator: torch.Generator | None, pruner: Pruner) -> None:
    """Fix what a loader draws its workers' seeds from by the epoch; the global generator is left alone."""
    if generator is not None:
        generator.manual_seed(derive_seed(pruner.seed, pruner.epoch, "workers", bits=32))


class _WithId(Dataset[Any]):
    """The data set, fetched by whole batches, with every sample's position beside it."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> tuple[int, Any]:
        return index, self.dataset[index]

    def __getitems__(self, indices: list[int]) -> tuple[list[int], list[Any]]:
        """A batch's ids and samples, side by side; DataLoader passes them on to the collation as they are."""
        fetch = getattr(self.dataset, "__getitems__", None)
        return indices, fetch(indices) if fetch else [self.dataset[index] for index in indices]


class _CollateWithIds:
    """Collate the samples as asked and put their ids beside the batch."""

    def __init__(self, collate_fn: Callable[[list[Any]], Any]) -> None:
        self.collate_fn = collate_fn

    def __call__(self, fetched: tuple[list[int], list[Any]]) -> tuple[torch.Tensor, Any]:
        ids, samples = fetched
        # By way of numpy, which reads a list of integers faster than torch does.
        return torch.from_numpy(np.array(ids, dtype=np.int64)), self.collate_fn(samples)


def _check_loader(dataset: Dataset[Any], pruner: Pruner, options: dict[str, Any]) -> None:
    for name in ("sampler", "batch_sampler", "shuffle"):
        if name in options:
            raise ArgumentError(name, options[name], "nothing: the pruner's plan decides the order")
    length = len(dataset) if hasattr(dataset, "__len__") else None
    if length is None:
        raise ArgumentError("dataset", type(dataset).__name__, "a map-style dataset with __len__ and __getitem__")
    if length != pruner.num_samples:
        raise ArgumentError("dataset", f"of {length} samples", f"{pruner.num_samples}, the pruner's num_samples")
