"""From a training loader as users give it to Lightning to one that gives the running epoch's samples with their ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, RandomSampler, SequentialSampler

from emprune.distributed.partition import num_steps
from emprune.errors import ArgumentError
from emprune.loader import PlanSampler, PrunedLoader, loader_arguments, seed_workers
from emprune.pruner import Pruner

_KEPT = (
    "drop_last", "num_workers", "pin_memory", "timeout", "worker_init_fn", "multiprocessing_context", "generator",
    "prefetch_factor", "persistent_workers", "pin_memory_device", "in_order",
)  # fmt: skip


class EpochSampler(PlanSampler, DistributedSampler[int]):
    """The running epoch's samples of this rank. Lightning leaves a DistributedSampler as it is."""

    begin_epoch: Callable[[int], None]

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before an epoch, and before any callback hears of it."""
        self.begin_epoch(epoch)


class EpochLoader(DataLoader[Any]):
    """What Lightning iterates: ``(ids, batch)`` of the running epoch, and of a restored one what is left.

    Its length is by Lightning's count: where an epoch goes on after a restart, batches trained before stay counted. It
    begins at the first batch that is asked for, because Lightning makes iterators before there is a plan to read.

    Args:
        loader: as the user made it: a DataLoader over all samples, or a :class:`emprune.PrunedLoader`.
        pruner: decides what each epoch holds.
        begin_epoch: called with Lightning's number of an epoch before it is iterated.

    Raises:
        ArgumentError: the loader chooses samples or makes batches in a way of its own, or leaves an epoch empty.
    """

    def __init__(self, loader: Any, pruner: Pruner, begin_epoch: Callable[[int], None]) -> None:
        check_loader(loader, pruner)
        dataset, collate_fn = loader.dataset, loader.collate_fn
        if isinstance(loader, PrunedLoader):
            dataset, collate_fn = dataset.dataset, collate_fn.collate_fn
        options = {name: getattr(loader, name) for name in _KEPT if hasattr(loader, name)}
        super().__init__(**loader_arguments(dataset, pruner, loader.batch_size, collate_fn, EpochSampler, options))
        self.pruner, self._given = pruner, loader
        self.sampler.begin_epoch = begin_epoch  # type: ignore[attr-defined]
        self.steps = self.steps_of(pruner.plan.count if pruner.epoch < pruner.num_epochs else pruner.kept[-1])
        if not self.steps:
            raise ArgumentError(
                "drop_last", True, f"a global batch of at most {pruner.plan.count}, the samples of the epoch",
                f"It is {self.global_batch}, so that no batch would be left.",
            )  # fmt: skip

    @property
    def global_batch(self) -> int:
        """Samples that all ranks train in a step."""
        return (self.batch_size or 0) * self.pruner.world.size

    def steps_of(self, samples: int) -> int:
        """Batches that each rank makes of so many samples of the plan."""
        return num_steps(samples, self.global_batch, 1, drop_last=self.drop_last)

    def steps_left(self) -> int:
        """Batches that are left of the running epoch."""
        return super().__len__()

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Any:
        return self._batches()

    def _batches(self) -> Iterator[Any]:
        if isinstance(self._given, PrunedLoader):
            self._given.check_dataset()
        seed_workers(self.generator, self.pruner)
        yield from super().__iter__()

    # The pruner's state says where the loader goes on. Having these two, it is known to Lightning as one that can.

    def state_dict(self) -> dict[str, Any]:
        """Nothing: see the pruner's state."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: see the pruner's state."""


def check_loader(loader: Any, pruner: Pruner) -> None:
    """Raise ArgumentError unless the loader leaves it to the pruner which samples a batch holds."""
    if not isinstance(loader, DataLoader):
        raise ArgumentError(
            "train_dataloader", type(loader).__name__, "one DataLoader over all samples, or one PrunedLoader",
            "Several loaders at once have no common epoch; join the data sets, or give one loader.",
        )  # fmt: skip
    if isinstance(loader, PrunedLoader):
        if loader.pruner is not pruner:
            raise ArgumentError("train_dataloader", "a PrunedLoader of another pruner", "one of the callback's pruner")
        return
    if isinstance(loader.dataset, IterableDataset):
        raise ArgumentError(
            "train_dataloader", f"one over {type(loader.dataset).__name__}, a stream", "one over a map-style dataset",
            "A stream cannot be asked for chosen samples.",
        )  # fmt: skip
    if type(loader).__iter__ is not DataLoader.__iter__:
        raise ArgumentError(
            "train_dataloader", f"a {type(loader).__name__}, which iterates in a way of its own", "a DataLoader",
            "Its batches would not be those of the plan; give PrunedLoader(dataset, pruner, ...) instead.",
        )  # fmt: skip
    sampler = loader.sampler if loader.batch_size is not None else loader.batch_sampler or loader.sampler
    drawn_once = isinstance(sampler, RandomSampler) and not sampler.replacement and sampler._num_samples is None
    if loader.batch_size is None or not (drawn_once or isinstance(sampler, SequentialSampler)):
        raise ArgumentError(
            "train_dataloader", f"one with {type(sampler).__name__}", "one with batch_size, and shuffle=True at most",
            "The pruner's plan decides the order, and which part each process trains.",
        )  # fmt: skip
