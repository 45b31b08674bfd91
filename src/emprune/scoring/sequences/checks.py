"""What the token functions are given: shapes and dtypes at once, values where that waits for no device."""

from __future__ import annotations

import torch

from emprune.checks import kind_of
from emprune.errors import ArgumentError
from emprune.scoring.sequences.packing import NO_TARGET
from emprune.scoring.targets import check_smoothing, check_weight


def check_shapes(
    logits: torch.Tensor, labels: torch.Tensor, label_smoothing: float, weight: torch.Tensor | None
) -> None:
    """Raise unless logits, labels, smoothing and weights fit each other."""
    is_tensor = isinstance(logits, torch.Tensor)
    if not is_tensor or logits.ndim not in (2, 3) or not logits.is_floating_point() or logits.shape[-1] < 1:
        hint = "Of a model's output object pass its logits." if hasattr(logits, "logits") else ""
        if is_tensor and logits.ndim > 3:
            hint = "For maps, [batch, classes, height, width], use emprune.scoring.dense."
        allowed = "floating point of shape [batch, length, vocabulary] or [tokens, vocabulary]"
        raise ArgumentError("logits", kind_of(logits), allowed, hint)
    if not isinstance(labels, torch.Tensor) or labels.dtype != torch.int64 or labels.shape != logits.shape[:-1]:
        hint = "If the model returned logits for a part of the tokens only, take the labels of the same tokens."
        if isinstance(labels, torch.Tensor) and labels.shape == logits.shape[:-1]:
            hint = "Tokens and classes are labels.long(); for numbers to predict use emprune.scoring.regression."
        allowed = f"int64 of shape {tuple(logits.shape[:-1])}, the logits' without vocabulary"
        raise ArgumentError("labels", kind_of(labels), allowed, hint)
    check_smoothing(label_smoothing)
    if weight is not None:
        check_weight(weight, logits.shape[-1])


def check_sequences(logits: torch.Tensor, ids: torch.Tensor | None, number: int | None) -> int:
    """Raise unless sequence ids and their number fit the logits; returns the number."""
    if ids is None:
        if logits.ndim == 2:
            raise ArgumentError(
                "logits", kind_of(logits), "shape [batch, length, vocabulary] where there are no sequence_ids",
                "For one label a sample use emprune.scoring.classification, for values of each token token_loss.",
            )  # fmt: skip
        if number not in (None, len(logits)):
            hint = "Several samples in a row need sequence_ids."
            raise ArgumentError("num_sequences", number, f"the batch size, {len(logits)}, without sequence_ids", hint)
        return len(logits)
    if ids.dtype not in (torch.int32, torch.int64) or ids.shape != logits.shape[:-1]:
        raise ArgumentError("sequence_ids", kind_of(ids), f"int32 or int64 of shape {tuple(logits.shape[:-1])}")
    if number is None:
        return int(ids.max()) + 1 if ids.numel() else 0
    if not isinstance(number, int) or number < 0:
        raise ArgumentError("num_sequences", number, "an integer of at least 0")
    return number


def check_targets(
    labels: torch.Tensor, targets: torch.Tensor, vocabulary: int, ignore_index: int, *, require_labels: bool
) -> None:
    """Raise for a label outside the vocabulary, or if there is none at all; looks at values."""
    is_outside = (labels != ignore_index) & ((labels < 0) | (labels >= vocabulary))
    outside = labels[is_outside]
    if len(outside):
        worst = int(outside.max()) if int(outside.max()) >= vocabulary else int(outside.min())
        place = (is_outside & (labels == worst)).nonzero()[0].tolist()
        where = f"row {place[0]}" if len(place) > 1 else f"place {place[0]}"
        raise ArgumentError(
            "labels", f"{worst} in {where}", f"0 to {vocabulary - 1}, or ignore_index, {ignore_index}",
            f"Vocabulary mismatch: a token is {worst} and the model has logits for {vocabulary}. Take the tokenizer "
            "that belongs to the model, or give the model as many rows (model.resize_token_embeddings); where tokens "
            "are classified, as many outputs as there are classes.",
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
