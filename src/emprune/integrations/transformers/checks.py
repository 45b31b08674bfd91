"""What cannot go together with pruning in a Trainer: found before the first step, with what to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import transformers
from torch.utils.data import IterableDataset

from emprune import scoring
from emprune.checkpoint.fingerprint import fixed_generators
from emprune.errors import ArgumentError, EmpruneError
from emprune.integrations.accelerate import check_accelerator, updates_per_epoch
from emprune.integrations.transformers.batches import IDS, SEQUENCES, IdsIntoBatch
from emprune.integrations.transformers.scores import ADVICE, OF_CLASSES, OF_TOKENS, Head
from emprune.pruner import Pruner

_OVERRIDDEN = (
    "_init_training_state", "_prepare_for_training", "_run_epoch", "set_initial_training_values",
    "loss_is_scaled_for_ga",
)  # fmt: skip
_PROBED = 32
"""Rows read before training; enough of them for a collator that masks at random to leave some label."""


def check_release() -> None:
    """Raise EmpruneError where this release's Trainer makes its epochs in another way than that it was written for."""
    missing = [name for name in _OVERRIDDEN if not hasattr(transformers.Trainer, name)]
    if missing:
        raise EmpruneError(
            f"transformers {transformers.__version__} has no Trainer.{missing[0]}, which pruning needs. Install 5.23, "
            "or another release that has it: pip install 'transformers>=5.19'."
        )


def check_dataset(dataset: Any) -> None:
    """Raise ArgumentError for a data set that has no rows to choose from."""
    if isinstance(dataset, IterableDataset) or not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise ArgumentError(
            "train_dataset", type(dataset).__name__, "a map-style dataset with __len__ and __getitem__",
            "A stream cannot be asked for chosen samples; of a streamed dataset, load the split with streaming=False.",
        )  # fmt: skip


def check_arguments(trainer: Any, pruner: Pruner) -> None:
    """Raise ArgumentError where the Trainer's arguments contradict the pruner."""
    args, size = trainer.args, len(trainer.train_dataset)
    if size != pruner.num_samples:
        raise ArgumentError(
            "pruner", f"built for {pruner.num_samples} samples", f"one for the {size} rows of trainer.train_dataset",
            "Rows may have been filtered or packed; give a function of their number, that returns the pruner.",
        )  # fmt: skip
    check_accelerator(trainer.accelerator, pruner)
    if args.num_train_epochs != pruner.num_epochs:
        raise ArgumentError("num_train_epochs", args.num_train_epochs, f"{pruner.num_epochs}, the pruner's num_epochs")
    strategy = "group_by_length" if getattr(args, "group_by_length", False) else args.train_sampling_strategy
    if strategy != "random":
        raise ArgumentError("train_sampling_strategy", strategy, "'random': the pruner's plan decides the order")
    if args.auto_find_batch_size:
        raise ArgumentError(
            "auto_find_batch_size", True, "False: steps are counted beforehand",
            "Find the batch size without pruning first.",
        )  # fmt: skip
    total = sum(
        updates_per_epoch(
            pruner, trainer._train_batch_size, accumulation=args.gradient_accumulation_steps,
            drop_last=args.dataloader_drop_last,
        )
    )  # fmt: skip
    if args.max_steps > 0 and args.max_steps != total:
        raise ArgumentError(
            "max_steps", args.max_steps, f"-1, or the {total} updates that the pruner's epochs make",
            "A shorter run is a pruner with fewer epochs.",
        )  # fmt: skip


def check_loss(trainer: Any, pruner: Pruner, head: Head | None) -> None:
    """Raise ArgumentError where the loss of single samples cannot be had, or would not be what was asked for."""
    args, policy = trainer.args, pruner.policy
    if trainer.score_fn is not None:
        return
    fault = None
    if trainer.compute_loss_func is not None:
        fault = ("compute_loss_func", trainer.compute_loss_func, "None: it makes one loss of a batch")
    elif getattr(args, "loss_type", "nll") != "nll":
        fault = ("loss_type", args.loss_type, "'nll'")
    elif args.use_liger_kernel and (args.liger_kernel_config or {}).get("fused_linear_cross_entropy", True):
        fault = ("use_liger_kernel", True, "False, or liger_kernel_config={'fused_linear_cross_entropy': False}")
    elif trainer.has_own_loss and not trainer.gives_log_probs:
        fault = ("compute_loss", f"{trainer.has_own_loss}'s own", "Trainer's or that of TRL's SFTTrainer")
    elif trainer.gives_log_probs and args.label_smoothing_factor:
        fault = ("label_smoothing_factor", args.label_smoothing_factor, "0 with this trainer")
    elif more := sorted(set(policy.inputs) - (OF_CLASSES if head in ("classification", None) else OF_TOKENS)):
        fault = ("pruner", f"one with policy {policy.name!r}, which reads {', '.join(more)}", "another policy")
    if fault:
        raise ArgumentError(*fault, ADVICE)


def check_batches(trainer: Any, mixin: type) -> None:
    """Raise ArgumentError where the Trainer's subclass behind the mixin makes batches of its own: nobody asks it."""
    for name in ("get_train_dataloader", "_get_train_sampler"):
        owner = next(cls for cls in type(trainer).__mro__ if name in vars(cls) and not issubclass(cls, mixin))
        if owner is not transformers.Trainer:
            raise ArgumentError(
                name, f"{owner.__module__.split('.')[0]}.{owner.__name__}'s own",
                "Trainer's: the pruner's plan says which rows an epoch has, and in which order",
                "Weights or groups of a sampler of its own would be left out.",
            )  # fmt: skip


def replaced(trainer: Any) -> str:
    """What to say of a training batch that was trained on another loss than the pruner's."""
    owner = getattr(trainer.compute_loss, "__qualname__", "compute_loss")
    return (
        f"{owner} calls super().compute_loss and returns a loss without it: samples' weights, and their share of an "
        f"update, would be lost. Return what super().compute_loss gave, with terms added to it or a factor; for a "
        f"loss of another kind write `ids = inputs.pop({IDS!r})` and return `self.pruner.loss(ids, losses, ...)`, or "
        f"leave compute_loss alone. {ADVICE}"
    )


def unreported(trainer: Any, pruner: Pruner) -> str:
    """What to say of a training batch whose losses did not reach the pruner."""
    owner = getattr(trainer.compute_loss, "__qualname__", "compute_loss")
    reads = set(pruner.policy.inputs)
    values = ", ".join(["ids", "losses", *(["memory"] if "memory" in reads else [])])
    values += "".join(f", {name}={name}" for name in sorted(reads - OF_TOKENS))
    return (
        f"a training batch went by without its losses reaching the pruner, which would keep the same samples for ever: "
        f"{owner} makes a loss of its own. Call super().compute_loss there, or write "
        f"`ids = inputs.pop({IDS!r})` and `loss = self.pruner.loss({values})`, each of shape [B], one value a sample. "
        f"Or leave compute_loss alone. {ADVICE}"
    )


def check_vocabulary(trainer: Any) -> None:
    """Raise ArgumentError where the tokenizer has more tokens than the model embeds."""
    tokenizer, known = trainer.processing_class, _embeddings(trainer.model)
    if known and hasattr(tokenizer, "__len__") and hasattr(tokenizer, "get_vocab") and len(tokenizer) > known:
        raise ArgumentError(
            "processing_class", f"a tokenizer of {len(tokenizer)} tokens", f"at most the {known} that the model embeds",
            "Call model.resize_token_embeddings(len(tokenizer)), or take the tokenizer that belongs to the model.",
        )  # fmt: skip


def check_rows(trainer: Any, dataset: Any, collate: IdsIntoBatch, head: Head | None) -> None:
    """Collate a few rows, spread over the data set, and look at what comes out; random choices are left as they were.

    Raises:
        ArgumentError: the collator drops or reorders rows, labels are missing, all ignored or not among the model's
            classes, or tokens are outside the model's vocabulary.
    """
    places = np.unique(np.linspace(0, len(dataset) - 1, _PROBED).round().astype(np.int64)).tolist()
    with fixed_generators():
        samples = [dataset[place] for place in places]
        batch = collate((places, list(samples)))
    _check_order(samples, batch)
    known, tokens = _embeddings(trainer.model), batch.get("input_ids")
    if known and isinstance(tokens, torch.Tensor) and int(tokens.max()) >= known:
        raise ArgumentError(
            "input_ids", int(tokens.max()), f"0 to {known - 1}, the tokens that the model embeds",
            "Take the tokenizer that belongs to the model, or call model.resize_token_embeddings(len(tokenizer)).",
        )  # fmt: skip
    if trainer.score_fn is not None:
        return
    labels = batch.get(trainer.label_names[0]) if trainer.label_names else None
    if not isinstance(labels, torch.Tensor):
        raise ArgumentError(
            "train_dataset", f"one that gives batches of {', '.join(batch)}", "one whose batches have 'labels'",
            "Name the column of labels 'labels' or 'label', or let the data_collator make them.",
        )  # fmt: skip
    if labels.is_floating_point() or (head == "classification" and trainer.model.config.num_labels == 1):
        raise ArgumentError(
            "labels", f"{labels.dtype} for {type(trainer.model).__name__}", "int64 classes or tokens",
            f"A loss that is no cross-entropy has to be given. {ADVICE}",
        )  # fmt: skip
    _check_labels(labels, head, _classes(trainer.model, head), batch.get(SEQUENCES))


def _check_order(samples: Sequence[Any], batch: Mapping[str, Any]) -> None:
    """Raise ArgumentError where a batch has the samples' tokens, or as many tokens as they, in another order."""
    made = batch.get("input_ids")
    if not isinstance(made, torch.Tensor) or len(made) != len(samples):
        return
    if not all(isinstance(sample, Mapping) and "input_ids" in sample for sample in samples):
        return
    mask = batch.get("attention_mask")
    if not isinstance(mask, torch.Tensor) or mask.shape != made.shape:
        mask = torch.ones_like(made)
    given = [torch.as_tensor(sample["input_ids"]).tolist() for sample in samples]
    found = [tokens[there.bool()].tolist() for tokens, there in zip(made, mask, strict=True)]
    lengths = [*map(len, given)], [*map(len, found)]
    if any(one != other and sorted(one) == sorted(other) for one, other in ((given, found), lengths)):
        raise ArgumentError(
            "data_collator", "one that puts samples into another order", "one that keeps the order it is given",
            "Losses would land on other samples. What sorts a batch by length belongs into the model.",
        )  # fmt: skip


def _check_labels(labels: torch.Tensor, head: Head | None, classes: int | None, sequences: torch.Tensor | None) -> None:
    if head in ("tokens", "next tokens"):
        scoring.check_labels(labels, classes or 2**62, shift=head == "next tokens", sequence_ids=sequences)
    elif labels.ndim == 1 and classes and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        low, high = int(labels.min()), int(labels.max())
        raise ArgumentError(
            "labels", low if low < 0 else high, f"0 to {classes - 1}, the classes of the model's logits",
            "Give the model's config as many num_labels as there are classes.",
        )  # fmt: skip


def _embeddings(model: Any) -> int | None:
    """How many tokens a model embeds, if it does."""
    try:
        return getattr(model.get_input_embeddings(), "num_embeddings", None)
    except (AttributeError, NotImplementedError):
        return None


def _classes(model: Any, head: Head | None) -> int | None:
    """How many classes or tokens the logits are for, as far as known."""
    output = model.get_output_embeddings() if head and hasattr(model, "get_output_embeddings") else None
    if output is not None:
        return getattr(output, "out_features", None)
    return getattr(getattr(model, "config", None), "num_labels", None) if head else None
