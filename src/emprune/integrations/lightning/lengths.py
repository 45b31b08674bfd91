"""Numbers that Lightning keeps for a whole run, though epochs of a pruned run differ in length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emprune.integrations.lightning.loader import EpochLoader


def steps_done(trainer: Any) -> int:
    """Batches of the epoch in progress that Lightning counts as trained; 0 unless it goes on after a restart."""
    loop = trainer.fit_loop.epoch_loop
    return int(loop.batch_progress.current.processed) if loop.restarting else 0


def set_steps(trainer: Any, loader: EpochLoader, steps: int) -> None:
    """Make Lightning's numbers those of an epoch of so many batches, before it is iterated."""
    loop, loader.steps = trainer.fit_loop, steps
    loop.max_batches = steps
    loop._combined_loader.limits = [min(steps, trainer.limit_train_batches) if trainer.fast_dev_run else steps]
    iter(loop._data_fetcher)  # reads the limits; the loader itself begins later
    if isinstance(trainer.val_check_interval, float) and trainer.val_check_batch is not None:
        trainer.val_check_batch = max(1, int(steps * trainer.val_check_interval))


def steps_per_epoch(loader: EpochLoader) -> list[int]:
    """Batches of each epoch of the run on each rank.

    Raises:
        ArgumentError: the policy's epochs have no fixed size.
    """
    return [loader.steps_of(size) for size in loader.pruner.epoch_sizes()]


def total_updates(trainer: Any, loader: EpochLoader) -> int:
    """Optimizer updates of the run; each epoch ends with one of what it has accumulated.

    Raises:
        ArgumentError: the policy's epochs have no fixed size.
    """
    schedules = [callback for callback in trainer.callbacks if hasattr(callback, "get_accumulate_grad_batches")]

    def accumulation(epoch: int) -> int:
        found = [schedule.get_accumulate_grad_batches(epoch) for schedule in schedules]
        return int(found[0] if found else trainer.accumulate_grad_batches)

    return sum(-(-steps // accumulation(epoch)) for epoch, steps in enumerate(steps_per_epoch(loader)))


def make_exact(trainer: Any, estimate: Callable[[], int]) -> None:
    """Let ``trainer.estimated_stepping_batches``, which is epochs times the first one's length, call ``estimate``."""
    cls = type(trainer)
    if not hasattr(cls, "_without_pruning"):
        trainer.__class__ = type(
            cls.__name__, (cls,),
            {"_without_pruning": cls, "estimated_stepping_batches": property(lambda trainer: trainer._exact_steps())},
        )  # fmt: skip
    trainer._exact_steps = estimate


def make_inexact(trainer: Any) -> None:
    """Take :func:`make_exact` back."""
    trainer.__class__ = getattr(type(trainer), "_without_pruning", type(trainer))
    trainer.__dict__.pop("_exact_steps", None)
