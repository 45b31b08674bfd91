"""What the token functions are given: shapes and dtypes at once, values where that waits for no device."""

from __future__ import annotations

import torch

from emprune.errors import ArgumentError
from emprune.scoring.sequences.packing import NO_TARGET


def check_shapes(logits: torch.Tensor, labels: torch.Tensor, label_smoothing: float) -> None:
    """Raise unless logits, labels and smoothing fit each other."""
    if logits.ndim not in (2, 3) or not logits.is_floating_point() or logits.shape[-1] < 1:
        allowed = "floating point of shape [batch, length, vocabulary] or [tokens, vocabulary]"
        raise ArgumentError("logits", _kind(logits), allowed)
    if labels.dtype != torch.int64 or labels.shape != logits.shape[:-1]:
        raise ArgumentError(
            "labels", _kind(labels), f"int64 of shape {tuple(logits.shape[:-1])}, the logits' without vocabulary",
            "If the model returned logits for a part of the tokens only, take the labels of the same tokens.",
        )  # fmt: skip
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError("label_smoothing", label_smoothing, "a number in [0, 1]")


def check_sequences(logits: torch.Tensor, ids: torch.Tensor | None, number: int | None) -> int:
    """Raise unless sequence ids and their number fit the logits; returns the number."""
    if ids is None:
        if logits.ndim == 2:
            raise ArgumentError(
                "logits", _kind(logits), "shape [batch, length, vocabulary] where there are no sequence_ids",
                "For one label a sample use emprune.scoring.classification, for values of each token token_loss.",
            )  # fmt: skip
        if number not in (None, len(logits)):
            hint = "Several samples in a row need sequence_ids."
            raise ArgumentError("num_sequences", number, f"the batch size, {len(logits)}, without sequence_ids", hint)
        return len(logits)
    if ids.dtype not in (torch.int32, torch.int64) or ids.shape != logits.shape[:-1]:
        raise ArgumentError("sequence_ids", _kind(ids), f"int32 or int64 of shape {tuple(logits.shape[:-1])}")
    if number is None:
        return int(ids.max()) + 1 if ids.numel() else 0
    if not isinstance(number, int) or number < 0:
        raise ArgumentError("num_sequences", number, "an integer of at least 0")
    return number


def check_targets(
    labels: torch.Tensor, targets: torch.Tensor, vocabulary: int, ignore_index: int, *, require_labels: bool
) -> None:
    """Raise for a label outside the vocabulary, or if there is none at all; looks at values."""
    outside = labels[(labels != ignore_index) & ((labels < 0) | (labels >= vocabulary))]
    if len(outside):
        worst = int(outside.max()) if int(outside.max()) >= vocabulary else int(outside.min())
        raise ArgumentError(
            "labels", worst, f"0 to {vocabulary - 1}, or ignore_index, {ignore_index}",
            f"Vocabulary mismatch: a token is {worst} and the model has logits for {vocabulary}. Take the tokenizer "
            "that belongs to the model, or give the model as many rows (model.resize_token_embeddings).",
        )  # fmt: skip
    if require_labels and targets.numel() and bool((targets == NO_TARGET).all()):
        raise ArgumentError(
            "labels", f"without a token to predict among {targets.numel()}", "one or more in a batch",
            "Is the answer cut off by the maximum length, or the prompt mask over all of it? Causal models predict "
            "nothing for the first token of a sample. require_labels=False lets such a batch pass, with loss 0.",
        )  # fmt: skip


def check_ids_in_range(ids: torch.Tensor, labelled: torch.Tensor, number: int) -> None:
    """Raise if a labelled token belongs to a sequence beyond the number of them; looks at values."""
    beyond = ids[labelled & (ids >= number)]
    if len(beyond):
        raise ArgumentError(
            "sequence_ids", int(beyond.max()), f"0 to {number - 1} for labelled tokens, num_sequences being {number}",
            "Every sample of a packed batch needs an id: are all of them passed on?",
        )  # fmt: skip


def _kind(values: torch.Tensor) -> str:
    return f"{values.dtype} of shape {tuple(values.shape)}"
