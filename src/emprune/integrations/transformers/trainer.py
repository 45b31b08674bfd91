"""A transformers Trainer that prunes: each epoch trains what its pruner keeps.

    trainer = PrunedTrainer(
        model, args, train_dataset=train_set, pruner=Pruner(len(train_set), prune_rate=0.7, num_epochs=3)
    )

and for any subclass of Trainer whose loss is the model's, such as TRL's SFTTrainer::

    class PrunedSFT(PruningMixin, SFTTrainer): pass

What differs from the Trainer without pruning:

- The loss of a step is the weighted mean over its samples, of all gradient accumulation and all ranks, each sample's
  loss being the mean over its labelled tokens. The Trainer's own is the mean over tokens: there a sample counts as much
  as it is long. For one label a sample they are the same.
- The numbers of steps, of the schedule too, are exact, although epochs differ in length.
- At the end of each epoch :meth:`emprune.Pruner.metrics` goes to what ``report_to`` names, TensorBoard for instance.
- A checkpoint holds one file more, ``pruner.safetensors``. Resumed in mid-epoch, the Trainer skips nothing, since the
  plan that is restored begins after the last sample that a step consumed.
- A finished run is extended by a new trainer with more ``num_train_epochs`` and as many ``num_epochs`` of its pruner,
  resumed from the last checkpoint: epochs that are over stay as they were, annealing comes at the new end, steps are
  exact, and the learning rate goes on where the longer schedule is at this step (a linear one rises again). Another
  batch size or accumulation is taken too, in mid-epoch also.

A subclass with a ``compute_loss`` of its own calls ``super().compute_loss``, or reports the losses itself::

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        ids, labels = inputs.pop("emprune_ids"), inputs.pop("labels")
        outputs = model(**inputs)
        loss = self.pruner.loss(ids, *my_losses(outputs.logits, labels))    # of shape [B], and a memory term
        return (loss, outputs) if return_outputs else loss

A training batch whose losses do not reach the pruner, or that another loss is trained on, is an error before the first
update.

Written against transformers 5.23; it overrides the methods that make an epoch of batches, which are not public there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader

from emprune.errors import ArgumentError, EmpruneError
from emprune.loader import PlanSampler, loader_arguments
from emprune.overrides import allowed_fields
from emprune.pruner import Pruner

try:
    from transformers import Trainer
except ImportError as error:
    raise EmpruneError(
        "emprune.integrations.transformers needs the package transformers, which is not installed: "
        "pip install transformers accelerate safetensors"
    ) from error

from emprune.integrations.accelerate import prepare_loader
from emprune.integrations.transformers import checks, scores
from emprune.integrations.transformers.batches import IDS, SEQUENCES, IdsIntoBatch, loader_options
from emprune.integrations.transformers.epochs import STATE_FILE, EpochCallback, PrunedEpochs

__all__ = ["STATE_FILE", "PrunedTrainer", "PruningMixin"]


class PruningMixin(PrunedEpochs):
    """Put before a Trainer class, makes it train what a pruner keeps.

    Args:
        args, kwargs: the Trainer's.
        pruner: decides what each epoch holds; or a function that makes it, of the number of rows that the trainer has
            prepared (packed and filtered rows are fewer than those it was given). Ids are positions in
            ``trainer.train_dataset``. Its ``num_epochs`` must be ``num_train_epochs``.
        score_fn: for models whose loss is not the cross-entropy of labels: a function of (outputs, labels) that
            returns each sample's loss and memory term, both of shape [B]; or a dict of all that the policy reads (its
            ``inputs``), by name. Labels are None where there are none, a tuple where the model takes several.
        dataset_fingerprint: what identifies the data set when a checkpoint is resumed; by default made of its rows for
            a ``datasets.Dataset``, else not compared.
        allow: settings in which a run may differ from the checkpoint that it resumes, see
            :func:`emprune.checkpoint.restore`; differences are logged. By default those that TrainingArguments hold
            too: the number of epochs, and the batch size with the accumulation. ``("num_samples",)`` lets the data set
            have grown; ``()`` allows none.

    Raises:
        ArgumentError: an argument contradicts the pruner, or the trainer's loss cannot be had for single samples.
    """

    def __init__(
        self,
        *args: Any,
        pruner: Pruner | Callable[[int], Pruner],
        score_fn: Callable[[Any, Any], Any] | None = None,
        dataset_fingerprint: str | None = None,
        allow: Collection[str] = ("num_epochs", "batch_size"),
        **kwargs: Any,
    ) -> None:
        checks.check_release()
        if kwargs.get("train_dataset") is not None:
            checks.check_dataset(kwargs["train_dataset"])
        super().__init__(*args, **kwargs)
        checks.check_dataset(self.train_dataset)
        self.score_fn, self.dataset_fingerprint = score_fn, dataset_fingerprint
        self.allow = allowed_fields(allow)
        self.pruner = pruner(len(self.train_dataset)) if callable(pruner) else pruner
        if not isinstance(self.pruner, Pruner):
            raise ArgumentError("pruner", type(self.pruner).__name__, "an emprune.Pruner, or a function that makes one")
        self._head = scores.head_of(self._plain_model)
        self._checked_loss = self.score_fn is not None
        self._samples_in_update = 0
        checks.check_arguments(self, self.pruner)
        checks.check_loss(self, self.pruner, self._head)
        checks.check_batches(self, PruningMixin)
        checks.check_vocabulary(self)
        self.add_callback(EpochCallback(self))

    # ---- batches

    def _get_train_sampler(self, train_dataset: Any = None) -> PlanSampler:
        return PlanSampler(self.pruner, self._train_batch_size, drop_last=self.args.dataloader_drop_last)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """A loader over the running epoch's plan, whose batches carry ids; each rank gets its own part."""
        dataset, collate_fn = self.train_dataset, self.data_collator
        checks.check_arguments(self, self.pruner)
        checks.check_loss(self, self.pruner, self._head)
        if hasattr(dataset, "remove_columns"):
            dataset = self._remove_unused_columns(dataset, description="Training")
        else:
            collate_fn = self._get_collator_with_removed_columns(collate_fn, description="Training")
        arguments = loader_arguments(
            dataset, self.pruner, self._train_batch_size, collate_fn, PlanSampler, loader_options(self.args)
        )  # fmt: skip
        collate = IdsIntoBatch(collate_fn)
        checks.check_rows(self, dataset, collate, self._head)
        self._loader_arguments = {**arguments, "sampler": self._get_train_sampler(dataset), "collate_fn": collate}
        return prepare_loader(self.accelerator, DataLoader(**self._loader_arguments))

    def get_batch_samples(self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device) -> Any:
        """Fetch the batches of an update, and count their samples: the loss is a mean over all of them."""
        batches, num_items = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._samples_in_update = sum(len(batch[IDS]) for batch in batches)
        return batches, num_items

    # ---- loss

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The pruner's loss of a training batch, which reports its samples' scores; others as without pruning."""
        ids = inputs.pop(IDS, None)
        if ids is None:
            if self.is_in_train and model.training:
                raise EmpruneError(
                    f"a training batch came without its ids, the column {IDS!r}. Let the batches of "
                    "get_train_dataloader reach compute_loss whole."
                )
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch=num_items_in_batch)
        found, outputs = self._scored(model, inputs, len(ids), num_items_in_batch)
        loss = self.pruner.loss(ids, **found)
        auxiliary = scores.auxiliary_loss(outputs, getattr(self._plain_model, "config", None))
        if auxiliary is not None:
            loss = loss + auxiliary
        self._is_part_of_update = True
        loss = loss * (len(ids) / self._samples_in_update)
        self.watch(loss)
        return (loss, outputs) if return_outputs else loss

    @property
    def loss_is_scaled_for_ga(self) -> bool:
        """Read by the Trainer: whether the loss is a part of that of all accumulated batches, not to be divided again.

        That of this class is; what a subclass makes of ``self.pruner.loss`` alone is a batch's mean.
        """
        return self._is_part_of_update

    def _scored(
        self, model: Any, inputs: dict[str, Any], size: int, num_items_in_batch: Any = None
    ) -> tuple[scores.Scores, Any]:
        """Forward a batch of ``size`` samples: their scores, and what the model returned."""
        sequences = inputs.pop(SEQUENCES, None)
        labels: tuple[Any, ...] = tuple(inputs.get(name) for name in self.label_names)
        if self.score_fn is not None:
            outputs = model(**self._without_labels(inputs))
            return scores.by_name(self.score_fn(outputs, labels[0] if len(labels) == 1 else labels or None)), outputs
        batch = scores.Batch(size, inputs.get("shift_labels", labels[0]), sequences, "shift_labels" in inputs)
        if self.gives_log_probs:
            outputs = self._outputs_of_own_loss(model, inputs, num_items_in_batch)
        else:
            outputs = model(**(self._without_labels(inputs) if self._checked_loss else inputs))
        confidence = "confidence" in self.pruner.policy.inputs
        read = partial(scores.scores_of, outputs, batch, self._head, confidence=confidence)
        if not self._checked_loss:
            self._checked_loss = True
            auxiliary = scores.auxiliary_loss(outputs, getattr(self._plain_model, "config", None))
            scores.check_own_loss(outputs, read(), batch, self._head, auxiliary)
        return read(label_smoothing=self.args.label_smoothing_factor), outputs

    def _without_labels(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """What the model needs to make its logits; with labels it would make a loss of its own, and for nothing."""
        if getattr(getattr(self._plain_model, "config", None), "is_encoder_decoder", False):
            return inputs  # its decoder reads them
        return {name: column for name, column in inputs.items() if name not in self.label_names}

    def _outputs_of_own_loss(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any) -> Any:
        """What the model returns to the loss of the Trainer's subclass, which also keeps that one's metrics going."""
        seen: list[Any] = []
        handle = model.register_forward_hook(lambda _module, _inputs, outputs: seen.append(outputs))
        try:
            super().compute_loss(model, inputs, num_items_in_batch=num_items_in_batch)
        finally:
            handle.remove()
        return seen[-1]

    @property
    def has_own_loss(self) -> str:
        """The Trainer subclass behind this mixin that computes a loss of its own; empty if there is none."""
        classes = [cls for cls in type(self).__mro__ if not issubclass(cls, PruningMixin)]
        owner = next(cls for cls in classes if "compute_loss" in vars(cls))
        return "" if owner is Trainer else f"{owner.__module__.split('.')[0]}.{owner.__name__}"

    @property
    def gives_log_probs(self) -> bool:
        """Whether its model gives each token's log-probability and entropy instead of logits."""
        return self.has_own_loss == "trl.SFTTrainer"

    @property
    def _plain_model(self) -> Any:
        """The model without adapters around it."""
        base = getattr(self.model, "get_base_model", None)
        return self.model if base is None else base()


class PrunedTrainer(PruningMixin):
    """transformers' Trainer, training what a pruner keeps; arguments as for :class:`PruningMixin`."""
