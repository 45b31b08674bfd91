"""What cannot go together with pruning in Lightning: found before the first step, with what to change."""

from __future__ import annotations

from typing import Any

from emprune.distributed.world import current_world
from emprune.errors import ArgumentError, EmpruneError
from emprune.integrations.lightning.lengths import steps_per_epoch
from emprune.integrations.lightning.loader import EpochLoader
from emprune.policies.base import Policy
from emprune.pruner import Pruner


def check_release(trainer: Any) -> None:
    """Raise EmpruneError where this release's trainer makes its epochs in another way than that it was written for."""
    names = ("_data_source", "_combined_loader", "_data_fetcher", "max_batches", "epoch_loop", "epoch_progress")
    missing = [name for name in names if not hasattr(trainer.fit_loop, name)]
    if missing:
        raise EmpruneError(
            f"this release of Lightning has no fit_loop.{missing[0]}, which pruning needs. Install 2.6, or another "
            "release that has it: pip install 'lightning>=2.6,<2.7'."
        )


def check_arguments(trainer: Any, pruner: Pruner) -> None:
    """Raise ArgumentError where the trainer's arguments, or the policy, contradict an epoch of the pruner."""
    policy = pruner.policy
    if policy.observes_pruned or type(policy).learning_rate_factor is not Policy.learning_rate_factor:
        raise ArgumentError(
            "policy", policy.name, "one that neither looks at pruned samples nor changes the learning rate",
            "Train with it in a loop of your own, or with PrunedTrainer.",
        )  # fmt: skip
    if trainer.fast_dev_run:
        return
    shorter = "A shorter run is a pruner with fewer epochs; a quick look is fast_dev_run=True."
    if trainer.max_epochs != pruner.num_epochs:
        raise ArgumentError("max_epochs", trainer.max_epochs, f"{pruner.num_epochs}, the pruner's num_epochs", shorter)
    if trainer.max_steps != -1:
        raise ArgumentError("max_steps", trainer.max_steps, "-1: the pruner's epochs are the run", shorter)
    if trainer.overfit_batches:
        raise ArgumentError("overfit_batches", trainer.overfit_batches, "0", "Overfit without the callback first.")
    if type(trainer.limit_train_batches) is not float or trainer.limit_train_batches != 1.0:
        raise ArgumentError(
            "limit_train_batches", trainer.limit_train_batches, "1.0: an epoch trains its whole plan",
            "Fewer samples an epoch are a higher prune_rate; a quick look is fast_dev_run=True.",
        )  # fmt: skip


def check_interval(trainer: Any, loader: EpochLoader) -> None:
    """Raise ArgumentError where epochs are so short that a validation every so many batches falls out."""
    interval = trainer.val_check_interval
    if type(interval) is not int or trainer.check_val_every_n_epoch is None or trainer.fast_dev_run:
        return
    shortest = min(steps_per_epoch(loader))
    if interval > shortest and trainer.limit_val_batches > 0:
        raise ArgumentError(
            "val_check_interval", interval, f"at most {shortest}, the batches of the shortest epoch, or a fraction",
            "To count batches across epochs, set check_val_every_n_epoch=None.",
        )  # fmt: skip


def join_ranks(trainer: Any, pruner: Pruner) -> None:
    """Let a pruner that was built before Lightning started its processes train with their ranks.

    Raises:
        ArgumentError: the ranks that train on data of their own are others than those of the process group, or the
            table is partitioned.
    """
    ranks = (trainer.distributed_sampler_kwargs or {}).get("num_replicas", 1)
    if pruner.world.size != ranks and current_world().size == ranks:
        pruner.join()
    if pruner.world.size != ranks:
        raise ArgumentError(
            "pruner", f"built for {pruner.world.size} rank(s)",
            f"one for the {ranks} rank(s) that train on data of their own",
            "Give it their process group: Pruner(..., world=ProcessGroup(group)).",
        )  # fmt: skip
    if pruner.is_partitioned:
        raise ArgumentError(
            "partition_batch_size", "given", "None with Lightning on several ranks",
            "A checkpoint of Lightning holds one state, a partitioned table has one for each rank.",
        )  # fmt: skip
