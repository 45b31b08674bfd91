"""A Lightning trainer that prunes: each epoch trains what its pruner keeps.

    pruning = Pruning(Pruner(len(train_set), prune_rate=0.7, num_epochs=10))
    trainer = L.Trainer(max_epochs=10, callbacks=[pruning])

    def training_step(self, batch, batch_idx):
        ids, (images, labels) = batch
        return self.pruner.loss(ids, *classification(self.net(images), labels))

What differs from a run without the callback:

- A training batch is ``(ids, batch)``, in ``training_step`` and in the hooks that see one, ``transfer_batch_to_device``
  among them; those of validation are as they were. The module finds the pruner at ``self.pruner``.
- ``train_dataloader`` gives a plain DataLoader over all samples (whether it shuffles does not matter: the order is the
  pruner's), or a PrunedLoader of the callback's pruner. ``use_distributed_sampler`` does not concern it.
- Epochs have lengths of their own, and ``trainer.estimated_stepping_batches`` is the exact number of updates.
- Checkpoints hold the pruner's state. ``fit(ckpt_path=...)`` trains what an uninterrupted run does, in mid-epoch too;
  what draws from global generators (dropout, augmentation in the main process) needs its own state there, which
  Lightning does not save.
- The trainer's loggers get ``pruner.metrics()`` at the end of each epoch.

Manual optimization works the same. The finders of learning rate and batch size try their steps on the first epoch's
plan and leave the pruner as it was, and so does ``fast_dev_run``. Works with ``lightning`` and ``pytorch_lightning``.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from emprune.errors import ArgumentError, EmpruneError, StateError
from emprune.integrations.lightning import checkpoints, checks, lengths
from emprune.integrations.lightning.loader import EpochLoader
from emprune.pruner import Pruner


def _callback_class() -> Any:
    """Lightning's Callback, of the package that is imported already, else of one that is installed."""
    packages = {"lightning.pytorch": "lightning", "pytorch_lightning": "pytorch_lightning"}
    for module in sorted(packages, key=lambda module: module not in sys.modules):
        if importlib.util.find_spec(packages[module]):
            return importlib.import_module(module).Callback
    raise EmpruneError(
        "emprune.integrations.lightning needs the package lightning, which is not installed: "
        "pip install 'lightning>=2.6,<2.7'"
    )


if TYPE_CHECKING:
    _Callback = object
else:
    _Callback = _callback_class()


class Pruning(_Callback):
    """Makes a Lightning trainer train what a pruner keeps.

    Args:
        pruner: decides what each epoch holds. Its ``num_epochs`` must be the trainer's ``max_epochs``. It may be built
            before the trainer starts its processes.

    Raises:
        ArgumentError: ``pruner`` is none.
    """

    state_key: str

    def __init__(self, pruner: Pruner) -> None:
        if not isinstance(pruner, Pruner):
            raise ArgumentError("pruner", type(pruner).__name__, "an emprune.Pruner")
        self.pruner = pruner
        self._trainer: Any = None
        self._loader: EpochLoader | None = None
        self._reported = 0
        self._before: dict[str, Any] = {}
        self._updates: int | None = None
        self._saved_batch = 0

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Check the run, and stand between the trainer and its training loader."""
        self._trainer = None
        if stage != "fit":
            return
        checks.check_release(trainer)
        checks.check_arguments(trainer, self.pruner)
        checks.join_ranks(trainer, self.pruner)
        if getattr(pl_module, "pruner", self.pruner) is not self.pruner:
            raise ArgumentError(
                "pruner", "another one than the module's", "module.pruner, where the module has one",
                "Scores would go to the one and epochs to the other.",
            )  # fmt: skip
        pl_module.pruner, self._trainer = self.pruner, trainer
        source = trainer.fit_loop._data_source
        source.dataloader = lambda: self._pruned(type(source).dataloader(source))
        if not trainer.fast_dev_run:
            lengths.make_exact(trainer, self._total_updates)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Leave the trainer as it was."""
        self._leave(trainer)
        self._trainer = None

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Leave the trainer as it was, but not its counts: a checkpoint may be saved now.

        What fails in the very first step may not know of the ids.
        """
        progress = trainer.fit_loop.epoch_loop.batch_progress.total
        if self._trainer is not None and progress.started == 1 and not progress.processed:
            exception.add_note("With emprune's Pruning, a training batch is (ids, batch): ids, batch = batch.")
        self._leave(trainer)

    # ---- epochs

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Keep what a quick look is to leave untouched."""
        if trainer.fast_dev_run:
            self._before = self.pruner.state_dict()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Note how much the pruner has heard of."""
        self._reported = self.pruner.steps_reported

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Make sure that the pruner has heard of the batch, unless the step was skipped."""
        skipped = pl_module.automatic_optimization and not outputs
        if self.pruner.steps_reported == self._reported and not skipped:
            raise EmpruneError(
                f"training_step trained batch {batch_idx} of epoch {trainer.current_epoch} without the pruner, which "
                "then knows no scores. Return self.pruner.loss(ids, loss, memory), with the ids that come with the "
                "batch and one loss and memory term a sample: ids, batch = batch."
            )

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Go to the pruner's next epoch, before a checkpoint of this one's end is saved; log what this one was."""
        if trainer.fast_dev_run:
            return
        self.pruner.end_epoch(partial=trainer.should_stop)  # EarlyStopping after a validation in mid-epoch
        if self._updates is not None:  # whether Lightning counts a restored last step depends on a validation after it
            trainer.fit_loop.epoch_loop._batches_that_stepped, self._updates = self._updates, None
        if trainer.loggers and trainer.is_global_zero:
            # As Lightning logs means over an epoch: at its last update, and with "epoch" to draw them over.
            step = trainer.fit_loop.epoch_loop._batches_that_stepped - 1
            numbers = {"epoch": trainer.current_epoch, **self.pruner.metrics()}
            for logger in trainer.loggers:
                logger.log_metrics(metrics=numbers, step=step)
                logger.save()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Take a quick look's steps back."""
        if self._before:
            self.pruner.load_state_dict(self._before)
            self._before = {}

    # ---- checkpoints

    def state_dict(self) -> dict[str, Any]:
        """The pruner's state as of the last update; all ranks must call it, as for ``trainer.save_checkpoint``."""
        state, batch = self.pruner.state_dict(), self._loader.global_batch if self._loader else 0
        if self._trainer is not None and not self._trainer.fast_dev_run:
            in_step = checkpoints.is_in_step(self._trainer) and self.pruner.steps_reported > self._reported
            pending = checkpoints.batches_without_update(self._trainer) + in_step
            state = checkpoints.without_last(state, pending, batch)
        return {"pruner": state, "global_batch": batch}

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Let Lightning's counts, too, be those of the last update: later gradients are not in the checkpoint."""
        if self._trainer is not None:
            checkpoints.forget_last(checkpoint["loops"]["fit_loop"], checkpoints.batches_without_update(trainer))

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Make sure that the checkpoint knows the pruner, and where an epoch ends.

        Raises:
            StateError: it was saved without the callback.
        """
        if self._trainer is None:
            return
        if self.state_key not in checkpoint["callbacks"]:
            raise StateError(
                "the checkpoint holds no state of a pruner: it was saved by a run without this callback. Go on without "
                "it, or begin a pruned run with the checkpoint's weights: load_from_checkpoint."
            )
        self._updates = checkpoints.finish_last_step(checkpoint["loops"]["fit_loop"])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the pruner, where training goes on; validating a checkpoint leaves it as it is."""
        if self._trainer is not None:
            self.pruner.load_state_dict(state_dict["pruner"])
            self._saved_batch = state_dict["global_batch"]

    # ---- loaders

    def _pruned(self, loader: Any) -> EpochLoader:
        """What the trainer iterates instead of the user's loader."""
        self._loader = EpochLoader(loader, self.pruner, self._begin_epoch)
        checks.check_interval(self._trainer, self._loader)
        return self._loader

    def _begin_epoch(self, epoch: int) -> None:
        """Set the length of the epoch that begins or goes on.

        Args:
            epoch: by Lightning's count.

        Raises:
            ArgumentError: the pruner has begun another run.
            StateError: the pruner stands elsewhere, or the checkpoint is of another global batch.
        """
        trainer, pruner, loader = self._trainer, self.pruner, self._loader
        assert loader is not None  # for the type checker: it is the loader that calls this
        if self not in trainer.callbacks:  # a finder tries its steps without callbacks, and takes them back at its end
            self._before = self._before or pruner.state_dict()
            pruner.load_state_dict(self._before)
        elif not trainer.fast_dev_run:
            self._before = {}
            self._check_epoch(epoch)
            if pruner.consumed > pruner.start:
                self.load_state_dict(self.state_dict())  # an interrupted epoch goes on with what is left
        lengths.set_steps(trainer, loader, lengths.steps_done(trainer) + loader.steps_left())

    def _check_epoch(self, epoch: int) -> None:
        pruner, trained = self.pruner, self._trainer.fit_loop.total_batch_idx >= 0
        if not trained and (pruner.epoch or pruner.consumed):
            raise ArgumentError(
                "pruner", f"one that has begun a run (epoch {pruner.epoch}, {pruner.consumed} samples trained)",
                "a new one for a new trainer, or fit(ckpt_path=...)",
            )  # fmt: skip
        if epoch != pruner.epoch:
            raise StateError(
                f"Lightning begins epoch {epoch}, but the pruner stands in epoch {pruner.epoch}. Leave end_epoch and "
                "load_state_dict to the callback."
            )
        assert self._loader is not None  # for the type checker: it is the loader that calls this
        here, ranks = self._loader.global_batch, pruner.world.size
        if self._saved_batch not in (0, here):
            raise StateError(
                f"the global batch is {here} here ({self._loader.batch_size} on each of {ranks} ranks), but the "
                f"checkpoint was saved with {self._saved_batch}. Use a batch_size of {self._saved_batch}/{ranks}."
            )
        self._saved_batch = 0

    def _total_updates(self) -> int:
        if self._trainer.train_dataloader is None:
            self._trainer.fit_loop.setup_data()
        assert self._loader is not None  # for the type checker: setup_data has made it
        return lengths.total_updates(self._trainer, self._loader)

    def _leave(self, trainer: Any) -> None:
        lengths.make_inexact(trainer)
        vars(trainer.fit_loop._data_source).pop("dataloader", None)
