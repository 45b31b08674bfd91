"""A Trainer's run made of a pruner's epochs: their lengths, their ends, checkpoints and logs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import logging

from emprune import checkpoint
from emprune.checkpoint.fingerprint import fingerprint_of
from emprune.distributed.partition import num_steps, rank_positions
from emprune.errors import ArgumentError, EmpruneError
from emprune.integrations.accelerate import updates_per_epoch
from emprune.integrations.transformers.batches import IDS
from emprune.integrations.transformers.checks import replaced, unreported
from emprune.pruner import Pruner

logger = logging.get_logger(__name__)

STATE_FILE = "pruner.safetensors"
"""The pruner's state in a checkpoint's folder; see :mod:`emprune.checkpoint`."""


class PrunedEpochs(Trainer):  # type: ignore[misc]
    """The part of :class:`emprune.integrations.transformers.trainer.PruningMixin` that has to do with time."""

    pruner: Pruner
    control: Any
    dataset_fingerprint: str | None
    allow: set[str]
    _loader_arguments: dict[str, Any]
    _scored: Callable[..., Any]

    _batches = 0
    """Of what was left of the running epoch when it began here."""
    _batches_left = 0
    """Of these, how many have not been trained."""
    _reported = 0
    """How many batches had been reported to the pruner before the one that is trained."""
    _updated = 0
    """How many batches had been reported to the pruner when the last update was made."""
    _is_trained_on: bool | None = None
    """Whether backward has come to a loss that was made of the running batch; None: to none, for there is none."""
    _is_part_of_update = False
    """Whether the last loss is a part of that of an update's batches."""
    _has_changed = False
    """Whether a setting is another than in the checkpoint that was resumed."""
    _updates = 0
    """Of the whole run, those before a restart included."""
    _begun_at = 0.0
    """Part of the running epoch that was trained before a restart."""
    _pruning_logs: dict[str, float] = {}

    def set_initial_training_values(self, args: Any, dataloader: Any) -> tuple[Any, ...]:
        """Numbers of epochs, updates and samples of the run: the pruner's, exact."""
        updates = updates_per_epoch(
            self.pruner, self._train_batch_size, accumulation=args.gradient_accumulation_steps,
            drop_last=args.dataloader_drop_last,
        )  # fmt: skip
        epochs, samples = self.pruner.num_epochs, sum(self.pruner.epoch_sizes())
        whole_batch = self.get_total_train_batch_size(args)
        # Batches and updates of an epoch, the second and the last but one here, are those of each one in _run_epoch.
        return epochs, updates[0], self.pruner.num_samples, samples, whole_batch, updates[0], sum(updates)

    def _init_training_state(
        self, max_steps: int, num_update_steps_per_epoch: int, num_train_epochs: int,
        resume_from_checkpoint: str | None, trial: Any,
    ) -> tuple[int, int]:  # fmt: skip
        """Begin, or restore the pruner too; the epoch to go on with, and 0 batches of it to be skipped."""
        super()._init_training_state(
            max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
        )  # fmt: skip
        if resume_from_checkpoint is not None:
            self._restore(Path(resume_from_checkpoint) / STATE_FILE)
        elif self.pruner.epoch or self.pruner.report().steps:
            raise ArgumentError(
                "pruner", f"one that has begun a run (epoch {self.pruner.epoch})", "a new one, or a checkpoint",
                "Each call of train() without resume_from_checkpoint begins a run.",
            )  # fmt: skip
        self._updates = self.state.max_steps = self.state.global_step + sum(self._updates_left())
        return self.pruner.epoch, 0

    def _restore(self, path: Path) -> None:
        """Let the pruner go on from a checkpoint, and say what is another than it was there."""
        changed = checkpoint.restore(self.pruner, path, **self._identity(), allow=self.allow)
        self._has_changed = bool(changed)
        for name, (saved, here) in changed.items():
            if self.is_world_process_zero():
                logger.warning(f"the run goes on with {name} {here!r}; the checkpoint was saved with {saved!r}")

    def _updates_left(self) -> list[int]:
        """Updates of the rest of the running epoch, and of each epoch after it; exact after a restart too."""
        pruner, size, ranks = self.pruner, self._train_batch_size, self.pruner.world.size
        if pruner.epoch == pruner.num_epochs:
            return []
        accumulation, drop_last = self.args.gradient_accumulation_steps, self.args.dataloader_drop_last
        left = pruner.plan.count - pruner.start * (ranks if pruner.is_partitioned else 1)
        batches = num_steps(max(0, left), size, ranks, drop_last=drop_last)
        later = updates_per_epoch(pruner, size, accumulation=accumulation, drop_last=drop_last)
        return [-(-batches // accumulation), *later[pruner.epoch + 1 :]]

    def _prepare_for_training(self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: str | None) -> Any:
        """With the schedule of the run as it is now, which may be longer than that of the checkpoint."""
        prepared = super()._prepare_for_training(self._updates, train_dataloader, resume_from_checkpoint)
        schedule = self.lr_scheduler
        if resume_from_checkpoint is not None and self._has_changed and isinstance(schedule, LambdaLR):
            # The checkpoint has the learning rate that its own schedule had set for the next update.
            rates = zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)
            schedule._last_lr = [base * factor(schedule.last_epoch) for base, factor in rates]
            for group, rate in zip(self.optimizer.param_groups, schedule._last_lr, strict=True):
                group["lr"] = rate
        return prepared

    def _run_epoch(self, **arguments: Any) -> None:
        """One epoch of the pruner, of its own length; of a restored one, what is left."""
        pruner, batches = self.pruner, len(arguments["train_dataloader"])
        whole = pruner.epoch_sizes()[pruner.epoch]
        self._batches = self._batches_left = batches
        self._reported = self._updated = pruner.steps_reported
        self._is_trained_on = None
        steps = num_steps(
            whole, self._train_batch_size, pruner.world.size, drop_last=self.args.dataloader_drop_last
        )  # fmt: skip
        self._begun_at = 1 - batches / steps
        kept = pruner.kept[pruner.epoch] if pruner.selects_in_batch else whole
        self._pruning_logs = {**self._pruning_logs, "samples_kept": kept}
        if batches == 0 and pruner.start:
            self._finish_epoch(**arguments)
            return
        updates = -(-batches // self.args.gradient_accumulation_steps)
        super()._run_epoch(**{**arguments, "steps_in_epoch": batches, "num_update_steps_per_epoch": updates})

    def _finish_epoch(
        self, *, model: Any, trial: Any, epoch: int, ignore_keys_for_eval: Any, start_time: float,
        resume_from_checkpoint: str | None, **_: Any,
    ) -> None:  # fmt: skip
        """What comes after an epoch's last step, where that is where the checkpoint was made."""
        self._load_rng_state(resume_from_checkpoint)
        self.control = self.callback_handler.on_epoch_end(self.args, self.state, self.control)
        self._maybe_log_save_evaluate(self._tr_loss, None, model, trial, epoch, ignore_keys_for_eval, start_time)

    def watch(self, loss: torch.Tensor) -> None:
        """Notice whether backward comes to a loss made here."""

        def reached(_: torch.Tensor) -> None:
            self._is_trained_on = True

        if loss.requires_grad:
            self._is_trained_on = bool(self._is_trained_on)
            loss.register_hook(reached)  # type: ignore[no-untyped-call]

    def batch_trained(self) -> None:
        """Count a batch of training whose loss was computed.

        Raises:
            EmpruneError: the pruner was not told of it, or what was trained on is another loss.
        """
        if self.pruner.steps_reported == self._reported:
            raise EmpruneError(unreported(self, self.pruner))
        if self._is_trained_on is False:
            raise EmpruneError(replaced(self))
        self._reported, self._is_part_of_update, self._is_trained_on = self.pruner.steps_reported, False, None
        self._batches_left -= 1

    def update_made(self) -> None:
        """Count the batches reported so far as part of the model's weights."""
        self._updated = self.pruner.steps_reported

    def end_epoch(self, *, stopped: bool) -> None:
        """Go to the pruner's next epoch, unless training stops in the middle of this one.

        Args:
            stopped: whether the rest of the epoch is to be left out.
        """
        untouched = self._batches_left == self._batches and not self.pruner.start
        if self._batches_left > 0 and (untouched or not stopped):
            return
        if self.pruner.policy.observes_pruned:
            self._observe_pruned()
        self.pruner.end_epoch(partial=stopped)
        self._pruning_logs["realised_rate"] = self.pruner.report().realised_rate

    def progress(self, epoch: float) -> float:
        """The Trainer's count of epochs, corrected: it takes what is left of a restored epoch for a whole one."""
        whole = self.pruner.epoch
        return whole + self._begun_at + (1 - self._begun_at) * (epoch - whole)

    @torch.no_grad()
    def _observe_pruned(self) -> None:
        """Refresh the scores of the samples that the epoch pruned, for policies that ask for it."""
        world, pruned_ids = self.pruner.world, self.pruner.plan.pruned_ids
        # As many batches on every rank, since an FSDP model's forward is collective.
        mine = rank_positions(0, len(pruned_ids), self._train_batch_size, world.size, world.rank)
        pruned = {"sampler": pruned_ids[mine.positions].tolist(), "drop_last": False, "persistent_workers": False}
        self.model.eval()
        for batch in DataLoader(**{**self._loader_arguments, **pruned}):
            inputs = self._prepare_inputs(batch)
            ids = inputs.pop(IDS)
            found, _ = self._scored(self.model, inputs, len(ids))
            self.pruner.observe(ids, **found)
        self.model.train()

    # ---- checkpoints and logs

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """The pruner's state first: a folder with a trainer's state is whole then.

        In the middle of an update it waits for the update's end: the pruner has seen batches that the weights have not.
        """
        if self.is_in_train and self.pruner.steps_reported != self._updated:
            self.control.should_save = True
            return
        if not self.args.save_only_model:
            folder = Path(self._get_output_dir(trial=trial)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            folder.mkdir(parents=True, exist_ok=True)
            checkpoint.save(self.pruner, folder / STATE_FILE, **self._identity())
        super()._save_checkpoint(model, trial)

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must agree on with the run that goes on from it."""
        if self.dataset_fingerprint is None and hasattr(self.train_dataset, "remove_columns"):
            self.dataset_fingerprint = fingerprint_of(self.train_dataset)
        samples = self._train_batch_size * self.args.gradient_accumulation_steps
        return {"dataset_fingerprint": self.dataset_fingerprint, "batch_size": samples}

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds to what is logged of training: samples that the epoch keeps, and the rate of all finished epochs."""
        if "loss" in logs or "train_loss" in logs:
            logs.update(self._pruning_logs)
        super().log(logs, start_time)


class EpochCallback(TrainerCallback):  # type: ignore[misc]
    """Ends the epochs of a :class:`PrunedEpochs` trainer; sets the learning rate that a policy asks for."""

    def __init__(self, trainer: PrunedEpochs) -> None:
        self._trainer = trainer
        self._rates: list[float] = []

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After each batch of an update but the last."""
        self._trainer.batch_trained()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count the update's last batch; multiply the learning rates by the policy's factor, for this step."""
        self._trainer.batch_trained()
        factor, groups = self._trainer.pruner.learning_rate_factor, self._trainer.optimizer.param_groups
        self._rates = [group["lr"] for group in groups]
        for group, rate in zip(groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put back what the schedule had set."""
        self._trainer.update_made()
        for group, rate in zip(self._trainer.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count the part of a restored epoch that was trained before."""
        state.epoch = self._trainer.progress(state.epoch)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After the last step's loss, and before the next epoch's sampler is asked, or its checkpoint is saved."""
        self._trainer.update_made()  # one that was broken off is not made any more
        self._trainer.end_epoch(stopped=control.should_epoch_stop)
        if args.report_to:  # else nobody asked for more than the losses that are printed
            self._trainer.log(self._trainer.pruner.metrics())
