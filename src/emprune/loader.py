"""From plan to batches: a sampler, a DataLoader whose batches carry ids, and batches of ids alone."""

from __future__ import annotations

import warnings
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, default_collate, get_worker_info

from emprune.checks import check_batch_size
from emprune.errors import ArgumentError, DataError, EmpruneWarning, EpochOrderError
from emprune.pruner import Pruner
from emprune.seeding import derive_seed

_CHUNK = 65_536
_SILENT_ROUNDS = 2
"""Whole rounds over a plan that may go by without a loss."""


class PlanSampler(Sampler[int]):
    """The running epoch's sample ids in training order.

    Iterating changes nothing about the plan: every iterator of an epoch gives the same ids, until ``end_epoch``; one
    that is kept beyond that raises EpochOrderError. With several ranks these are this rank's, as by
    :mod:`emprune.distributed.partition`.

    Args:
        pruner: whose running epoch is iterated.
        batch_size: samples a batch of this rank; may be left out where there is one rank alone.
        drop_last: leave out a smaller last global batch.

    Raises:
        ArgumentError: the batch size is below 1, missing with several ranks, or so large that ``drop_last`` leaves
            nothing of an epoch.
    """

    def __init__(self, pruner: Pruner, batch_size: int | None = None, *, drop_last: bool = False) -> None:
        if batch_size is not None or pruner.world.size > 1:
            check_batch_size(batch_size)
        if drop_last and batch_size is not None:
            _check_dropped(pruner, batch_size)
        self.pruner, self.batch_size, self.drop_last = pruner, batch_size, drop_last
        self._silent_since, self._silent_rounds = (0, 0), 0

    def __iter__(self) -> Iterator[int]:
        pruner, epoch = self.pruner, self.pruner.epoch
        self._notice_silent_rounds()
        ids = pruner.rank_ids(self.batch_size, drop_last=self.drop_last)
        for begin in range(0, len(ids), _CHUNK):
            for place, index in enumerate(ids[begin : begin + _CHUNK].tolist(), start=begin + 1):
                if pruner.epoch != epoch:
                    raise _stale(pruner, epoch)
                if place == len(ids):  # now, since nobody need ask for more
                    self._silent_rounds += self._silent_since == (epoch, pruner.steps_reported)
                yield index

    def __len__(self) -> int:
        return self.pruner.rank_count(self.batch_size, drop_last=self.drop_last)

    def _notice_silent_rounds(self) -> None:
        """Warn when a third round over a plan begins, and no step has reported a loss since the first did.

        One or two may be a look at the data. A round is compared when the next one begins, since workers fetch ahead.
        """
        now = self.pruner.epoch, self.pruner.steps_reported
        if now != self._silent_since:
            self._silent_since, self._silent_rounds = now, 0
        elif self._silent_rounds == _SILENT_ROUNDS:
            self._silent_rounds += 1
            warnings.warn(
                f"a third round over the plan of epoch {now[0]} begins, and no step has called pruner.loss(ids, ...). "
                "A loop that trains without it trains the same samples for ever: call it in every step, and write `for "
                "_ in pruner.epochs():` around the loop, or call pruner.end_epoch() after each round.",
                EmpruneWarning, stacklevel=2,
            )  # fmt: skip


class IdBatches:
    """Batches of ids alone, for data that already lies in memory or on the device: ``images[ids]``.

    Args:
        pruner: whose running epoch is iterated.
        batch_size: samples a batch of this rank, the last one smaller unless dropped.
        drop_last: leave out a smaller last (global) batch; those samples then stay untrained in this epoch.

    Raises:
        ArgumentError: as :class:`PlanSampler`.
    """

    def __init__(self, pruner: Pruner, batch_size: int, *, drop_last: bool = False) -> None:
        batch_size = check_batch_size(batch_size)
        if drop_last:
            _check_dropped(pruner, batch_size)
        self.pruner, self.batch_size, self.drop_last = pruner, batch_size, drop_last

    def __iter__(self) -> Iterator[torch.Tensor]:
        """Yield int64 tensors of shape [B] on the CPU."""
        pruner, epoch = self.pruner, self.pruner.epoch
        ids = torch.from_numpy(pruner.rank_ids(self.batch_size, drop_last=self.drop_last).copy())
        for batch in torch.split(ids, self.batch_size) if len(ids) else ():
            if pruner.epoch != epoch:
                raise _stale(pruner, epoch)
            yield batch

    def __len__(self) -> int:
        return -(-self.pruner.rank_count(self.batch_size, drop_last=self.drop_last) // self.batch_size)


class PrunedLoader(DataLoader[Any]):
    """A DataLoader over the running epoch's plan; yields ``(ids, batch)``.

        for _ in pruner.epochs():
            for ids, (images, labels) in loader:  # not: for images, labels in loader
                loss = pruner.loss(ids, *classification(model(images), labels))

    A batch is always a pair: the samples' ids, int64 of shape [B], and what a DataLoader without pruning would give.
    Ids are positions in the data set, and scores are kept by id. So each position must hold the same sample for the
    whole run: a data set that shuffles itself, or is made anew with other samples, between epochs would train one
    sample by another's score. Its length is compared whenever iteration begins, and more of it by choice.

    Args:
        dataset: map-style, of the pruner's length.
        pruner: decides what each epoch holds.
        batch_size, collate_fn, options: as for DataLoader. ``sampler``, ``batch_sampler`` and ``shuffle``
            are the pruner's; ``drop_last=True`` leaves out up to batch_size - 1 samples an epoch. Seeds of workers
            follow from the pruner's seed, the epoch and the rank; with a ``generator`` DataLoader draws them from that,
            as without pruning.
        fingerprint: what identifies a data set, for instance :func:`emprune.checkpoint.fingerprint_of`, which reads 64
            samples. Called with the data set here and once in each epoch; another value than the first is an error.

    Raises:
        ArgumentError: the dataset has another length than the pruner, or is a stream; an option is the pruner's; or
            ``drop_last`` leaves nothing of an epoch, whose samples are fewer than a batch.
        DataError: when iteration begins: the data set has changed.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        pruner: Pruner,
        batch_size: int = 1,
        *,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        fingerprint: Callable[[Any], object] | None = None,
        **options: Any,
    ) -> None:
        self.pruner = pruner
        super().__init__(**loader_arguments(dataset, pruner, batch_size, collate_fn, PlanSampler, options))
        self._stays = _Unchanged(dataset, fingerprint, pruner)

    def check_dataset(self) -> None:
        """Raise DataError if the data set is another one than when the loader was built."""
        self._stays.check()

    def __iter__(self) -> Any:
        self.check_dataset()
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
    batch_size = check_batch_size(batch_size)
    return {
        **options,
        "dataset": _WithId(dataset),
        "batch_size": batch_size,
        "sampler": sampler(pruner, batch_size, drop_last=bool(options.get("drop_last", False))),
        "collate_fn": _CollateWithIds(collate_fn or default_collate),
        "generator": _WorkerSeeds() if options.get("generator") is None else options["generator"],
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


class _WorkerSeeds(torch.Generator):
    """The generator of a loader whose user gave none."""


def seed_workers(generator: torch.Generator | None, pruner: Pruner) -> None:
    """Fix what a loader draws its workers' seeds from by epoch and rank; a user's generator is left alone."""
    if isinstance(generator, _WorkerSeeds):
        purpose = "workers" if pruner.world.size == 1 else f"workers of rank {pruner.world.rank}"
        generator.manual_seed(derive_seed(pruner.seed, pruner.epoch, purpose, bits=32))


class _Unchanged:
    """Notices that a data set is another one than when its loader was built."""

    def __init__(self, dataset: Any, fingerprint: Callable[[Any], object] | None, pruner: Pruner) -> None:
        self._dataset, self._fingerprint, self._pruner = dataset, fingerprint, pruner
        self._first = fingerprint(dataset) if fingerprint else None
        self._checked = pruner.epoch

    def check(self) -> None:
        """Raise DataError if so; the fingerprint is taken once an epoch."""
        length, known = len(self._dataset), self._pruner.num_samples
        if length != known:
            raise _changed(self._pruner, f"has {length} samples", f"{known}")
        if self._fingerprint is None or self._checked == self._pruner.epoch:
            return
        found = self._fingerprint(self._dataset)
        if found != self._first:
            raise _changed(self._pruner, f"is {found!r}", f"{self._first!r}")
        self._checked = self._pruner.epoch


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
        found = _tensor(array("q", ids))
        return found.as_subclass(_IdsOfWorker) if get_worker_info() else found, self.collate_fn(samples)


class _IdsOfWorker(torch.Tensor):
    """A batch's ids in a worker, which send their numbers, and arrive as a plain tensor.

    Otherwise a worker's tensor is a file in shared memory, whose descriptor goes through a socket: for so few numbers
    that costs several times as much. What is computed from them in the worker is plain again, and travels as it is.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: Any) -> tuple[Callable[[array[int]], torch.Tensor], tuple[array[int]]]:
        return _tensor, (array("q", self.tolist()),)


def _tensor(ids: array[int]) -> torch.Tensor:
    """int64, shape [B]. From an array, which reads a list of integers faster than torch and NumPy do."""
    return torch.frombuffer(ids, dtype=torch.int64) if ids else torch.empty(0, dtype=torch.int64)


def _changed(pruner: Pruner, found: str, before: str) -> DataError:
    return DataError(
        f"the data set {found} in epoch {pruner.epoch}, when the loader was built {before}. Ids are positions in it, "
        "and scores are kept by id: keep each sample at its place for the whole run, and begin a new run on other data."
    )


def _stale(pruner: Pruner, epoch: int) -> EpochOrderError:
    return EpochOrderError(
        f"this iterator is of epoch {epoch}, but the pruner is in epoch {pruner.epoch}. Begin a new one after each "
        "end_epoch: for ids, batch in loader."
    )


def _check_dropped(pruner: Pruner, batch_size: int) -> None:
    """Raise ArgumentError where an epoch to come has no whole global batch."""
    whole = batch_size * pruner.world.size
    for epoch in range(pruner.epoch, pruner.num_epochs):
        size = pruner.fewest(epoch)
        if size is not None and size < whole:
            raise ArgumentError(
                "batch_size", batch_size, f"with drop_last at most {size // pruner.world.size}, since epoch {epoch} "
                f"trains {size} samples" + (f" on {pruner.world.size} ranks" if pruner.world.size > 1 else ""),
                "No batch would be left. Lower the batch size or the prune rate, or leave drop_last out.",
            )  # fmt: skip


def _check_loader(dataset: Dataset[Any], pruner: Pruner, options: dict[str, Any]) -> None:
    for name in ("sampler", "batch_sampler", "shuffle"):
        if name in options:
            raise ArgumentError(name, options[name], "nothing: the pruner's plan decides the order")
    if isinstance(dataset, Pruner):
        hint = "It comes first: PrunedLoader(dataset, pruner)."
        raise ArgumentError("dataset", "a Pruner", "a map-style dataset", hint)
    length = len(dataset) if hasattr(dataset, "__len__") else None
    # MosaicML's StreamingDataset is a stream and can be asked for samples too.
    asked = getattr(type(dataset), "__getitem__", None)
    if length is None or asked is None or (isinstance(dataset, IterableDataset) and asked is Dataset.__getitem__):
        raise ArgumentError(
            "dataset", type(dataset).__name__, "a map-style dataset with __len__ and __getitem__",
            "A stream cannot be asked for chosen samples, although it may have a length: prune it inside its batches, "
            "emprune.BatchPruner, or load or index its samples first, for instance as a list.",
        )  # fmt: skip
    if length != pruner.num_samples:
        raise ArgumentError("dataset", f"of {length} samples", f"{pruner.num_samples}, the pruner's num_samples")
