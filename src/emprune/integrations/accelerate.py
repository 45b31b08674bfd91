"""PrunedLoader under accelerate: prefetching, device placement and gradient accumulation, on one process or many.

    pruner = Pruner(len(train_set), prune_rate=0.7, num_epochs=10)      # after Accelerator() was made
    loader = prepare_loader(accelerator, PrunedLoader(train_set, pruner, batch_size=32))
    model, optimizer = accelerator.prepare(model, optimizer)

Give such a loader to ``accelerator.prepare`` only after that: accelerate partitions the batches of a loader among the
ranks, and a pruner's loader has done so already, so that this is an error. A run that goes on needs no
``skip_first_batches``: a restored pruner's plan begins after the last sample that a step consumed.

``accelerator.register_for_checkpointing(pruner)`` puts the pruner's state into ``accelerator.save_state`` and takes it
from ``load_state``. To extend such a run, load the pruner's file yourself, with ``load_state_dict(state, allow=...)``.

``accelerator.backward`` divides each batch's loss by ``gradient_accumulation_steps``, also in an epoch's last update,
which may have fewer batches and a smaller one: it is weaker then, with pruning as without. PrunedTrainer weights by
samples instead.
"""

from __future__ import annotations

from typing import Any

from torch.utils.data import DataLoader

from emprune.checks import check_batch_size, integer
from emprune.distributed.partition import num_steps
from emprune.errors import ArgumentError, EmpruneError
from emprune.integrations.rounds import Rounds
from emprune.loader import PlanSampler, seed_workers
from emprune.pruner import Pruner

try:
    from accelerate.data_loader import prepare_data_loader
except ImportError as error:
    raise EmpruneError(
        "emprune.integrations.accelerate needs the package accelerate, which is not installed: pip install accelerate"
    ) from error


def prepare_loader(accelerator: Any, loader: DataLoader[Any]) -> DataLoader[Any]:
    """Make a PrunedLoader what ``accelerator.prepare`` makes of other loaders, without partitioning it twice.

    It prefetches one batch, moves batches to the device and lets ``accelerator.accumulate`` know where an epoch ends.
    Every rank gets its own partition of the plan (:mod:`emprune.distributed.partition`). What ``gather_for_metrics``
    gathers of training batches is not cut at the end of an epoch: the padding of the last global batch stays in it.

    Args:
        accelerator: an ``accelerate.Accelerator``.
        loader: a :class:`emprune.PrunedLoader`, or another loader over a :class:`emprune.PlanSampler`.

    Returns:
        A loader that knows its ``pruner``, as a PrunedLoader does.

    Raises:
        ArgumentError: the loader is none of these, the pruner was built for other ranks than the accelerator's, or
            the accelerator is to split or dispatch batches.
    """
    sampler = getattr(loader, "sampler", None)
    if not isinstance(sampler, PlanSampler):
        raise ArgumentError("loader", type(loader).__name__, "a PrunedLoader, not yet given to accelerator.prepare")
    check_accelerator(accelerator, sampler.pruner)
    prepared: Any = prepare_data_loader(
        loader, accelerator.device, num_processes=1, process_index=0,
        put_on_device=accelerator.device_placement, non_blocking=accelerator.non_blocking,
    )  # fmt: skip
    prepared.set_sampler(_EpochSeeds(sampler, loader))
    prepared._drop_last = True  # else gather_for_metrics cuts the last batch by the data set's length, not the plan's
    prepared._is_accelerate_prepared = True
    prepared.pruner = sampler.pruner
    return accelerator.prepare_data_loader(prepared)  # type: ignore[no-any-return]


def updates_per_epoch(
    pruner: Pruner, batch_size: int, *, accumulation: int = 1, drop_last: bool = False
) -> tuple[int, ...]:
    """Optimizer updates of each epoch, exact before training starts: their sum is what a scheduler needs.

    Epochs differ in length, and each ends with an update of what it has accumulated.

    Args:
        batch_size: samples of each rank in one forward pass.
        accumulation: forward passes in one update.
        drop_last: as given to the loader.

    Returns:
        One count for each of the pruner's epochs, the same on every rank.

    Raises:
        ArgumentError: a value is below 1, the policy's epochs have no fixed size, or ``drop_last`` leaves an epoch
            without any batch.

    >>> updates_per_epoch(Pruner(100, "random", prune_rate=0.7, num_epochs=4, anneal=0.25), 8, accumulation=2)
    (2, 2, 2, 7)
    """
    accumulation, batch_size = integer("accumulation", accumulation, 1), check_batch_size(batch_size)
    updates = []
    for epoch, size in enumerate(pruner.epoch_sizes()):
        batches = num_steps(size, batch_size, pruner.world.size, drop_last=drop_last)
        if not batches:
            raise ArgumentError(
                "drop_last", True, f"a global batch of at most {size}, the samples of epoch {epoch}",
                f"It is {batch_size * pruner.world.size}, so that no batch would be left.",
            )  # fmt: skip
        updates.append(-(-batches // accumulation))
    return tuple(updates)


def check_accelerator(accelerator: Any, pruner: Pruner) -> None:
    """Raise ArgumentError unless the accelerator leaves batches as a pruner's loader makes them."""
    ranks, config = accelerator.num_processes, getattr(accelerator, "parallelism_config", None)
    if config is not None:
        ranks //= config.tp_size * config.cp_size * config.sp_size
    if ranks != pruner.world.size:
        raise ArgumentError(
            "pruner", f"built for {pruner.world.size} rank(s)",
            f"one for the {ranks} rank(s) that train on data of their own",
            "Build it after the Accelerator (or the TrainingArguments). Where there is no accelerator, processes train "
            "together only with Accelerator(cpu=True) (or use_cpu=True).",
        )  # fmt: skip
    for name in ("split_batches", "dispatch_batches"):
        if getattr(accelerator, name, None):
            raise ArgumentError(name, True, "False: the pruner's loader gives every rank its batches")


class _EpochSeeds(PlanSampler):
    """Fixes what the workers' seeds are drawn from whenever accelerate begins to iterate."""

    def __init__(self, sampler: PlanSampler, loader: DataLoader[Any]) -> None:
        super().__init__(sampler.pruner, sampler.batch_size, drop_last=sampler.drop_last)
        self._loader, self._rounds, self._whole = loader, Rounds(sampler.pruner), 0

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate before each iteration, with the number of those that went through whole."""
        if epoch > self._whole:
            self._rounds.ends()
        self._whole = epoch
        self._rounds.begins()
        seed_workers(self._loader.generator, self.pruner)
