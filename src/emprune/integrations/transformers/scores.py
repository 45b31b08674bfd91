"""From what a transformers model returns to one loss and one memory term a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers.loss.loss_utils import LOSS_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from emprune import scoring
from emprune.errors import ArgumentError, EmpruneError
from emprune.scoring.sequences.packing import sequence_means

Head = Literal["classification", "tokens", "next tokens"]

IGNORED = -100
ADVICE = (
    "Give score_fn=, a function of (outputs, labels) that returns each sample's loss and memory term, shape [B]; "
    "emprune.scoring has multilabel, binary, regression and dense for tasks without one label a sample."
)
OF_TOKENS = frozenset({"loss", "memory"})
OF_CLASSES = OF_TOKENS | {"confidence"}
"""What is read from logits, of one label a token and of one a sample."""


Scores = dict[str, torch.Tensor]
"""What a batch's samples scored, by the names that a policy reads: "loss", shape [B], with gradient, and others."""


@dataclass(frozen=True)
class Batch:
    """What scoring needs to know of a batch.

    Attributes:
        size: B, how many samples it holds.
        labels: as the model takes them.
        sequences: int64, shape [1, T], which sample each token belongs to, if they lie in one row; else None.
        shifted: whether the labels stand already where they are predicted.
    """

    size: int
    labels: torch.Tensor
    sequences: torch.Tensor | None = None
    shifted: bool = False


def head_of(model: Any) -> Head | None:
    """How the model's own loss reads its logits, as far as transformers says; None where it does not."""
    name, loss = type(model).__name__, LOSS_MAPPING.get(getattr(model, "loss_type", None) or "")
    if loss in (LOSS_MAPPING["ForMaskedLM"], LOSS_MAPPING["ForTokenClassification"]):
        return "tokens"
    if name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        return "next tokens"
    if loss is LOSS_MAPPING["ForCausalLM"]:
        # What an encoder-decoder reads is moved by the model, so its labels are where they are predicted.
        return "tokens" if model.config.is_encoder_decoder else "next tokens"
    return "classification" if loss is LOSS_MAPPING["ForSequenceClassification"] else None


def scores_of(
    outputs: Any, batch: Batch, head: Head | None, *, confidence: bool = False, label_smoothing: float = 0.0
) -> Scores:
    """Loss and memory term of each sample from the logits; its confidence if asked for and there are classes.

    Args:
        outputs: what the model returned: with ``logits``, or with TRL's per-token ``log_probs`` and ``entropy``.
        head: None: inferred from the shapes, which suffices for classification alone.
        confidence: whether the policy reads it.

    Raises:
        EmpruneError: there are no logits.
        ArgumentError: their shape and the labels' do not fit, or how to read them is not known.
    """
    if isinstance(outputs, Mapping) and outputs.get("log_probs") is not None:
        return _of_log_probs(outputs, batch)
    logits, labels = logits_of(outputs), batch.labels
    if head is None and logits.ndim == 2 and labels.ndim == 1:
        head = "classification"
    if head == "classification" and labels.ndim == 1 and not labels.is_floating_point():
        labels = labels.long()
        found = by_name(scoring.classification(logits, labels, label_smoothing=label_smoothing))
        return found | ({"confidence": scoring.confidence(logits, labels)} if confidence else {})
    if head is None or head == "classification" or logits.ndim != 3 or labels.shape != logits.shape[:2]:
        raise ArgumentError(
            "model", f"one with logits of shape {tuple(logits.shape)} for {labels.dtype} labels of shape "
            f"{tuple(labels.shape)}", "a head of transformers that classifies sequences or tokens, or a causal or "
            "masked language model", ADVICE,
        )  # fmt: skip
    return by_name(
        scoring.tokens(
            logits, labels.long(), shift=head == "next tokens" and not batch.shifted, sequence_ids=batch.sequences,
            num_sequences=batch.size, label_smoothing=label_smoothing, require_labels=False,
        )
    )  # fmt: skip


def by_name(found: Any) -> Scores:
    """What a scoring function returned, by name: a dict, a named tuple, or a plain one of loss and memory term.

    Raises:
        ArgumentError: a plain tuple has more than these two.
    """
    if isinstance(found, Mapping):
        return dict(found)
    names = getattr(found, "_fields", ("loss", "memory"))
    if len(found) > len(names):
        raise ArgumentError(
            "score_fn",
            f"one that returns {len(found)} values",
            "one that returns loss and memory term, or a dict by name",
        )
    return dict(zip(names, found, strict=False))


def logits_of(outputs: Any) -> torch.Tensor:
    """The logits among a model's outputs.

    Raises:
        EmpruneError: there are none.
    """
    if isinstance(outputs, Mapping):
        found = outputs.get("logits")
        names = ", ".join(outputs)
    else:
        parts = [part for part in outputs if isinstance(part, torch.Tensor)] if isinstance(outputs, tuple) else []
        found = next((part for part in parts if part.ndim > 1), None)
        names = f"a {type(outputs).__name__}"
    if not isinstance(found, torch.Tensor):
        raise EmpruneError(
            f"the model returns no logits, only {names}; a reduced loss alone says nothing of single samples. "
            f"Let its forward return logits too (no fused loss that leaves them out). {ADVICE}"
        )
    return found


def auxiliary_loss(outputs: Any, config: Any) -> torch.Tensor | None:
    """What a mixture of experts adds to a batch's loss for balance, with the config's factor; None if nothing."""
    found = outputs.get("aux_loss") if isinstance(outputs, Mapping) else None
    if not isinstance(found, torch.Tensor):  # 0 where the model made none
        return None
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    return found * getattr(text, "router_aux_loss_coef", 0.0)


def check_own_loss(
    outputs: Any, scores: Scores, batch: Batch, head: Head | None, auxiliary: torch.Tensor | None
) -> None:
    """Raise EmpruneError unless the scores' mean is the loss that the model itself made of the same batch.

    A model whose loss is another one (regression, several labels a sample, class weights, a head that shifts otherwise)
    would be trained on cross-entropy silently otherwise.
    """
    own = outputs.get("loss") if isinstance(outputs, Mapping) else outputs[0]
    if not isinstance(own, torch.Tensor) or own.ndim or not torch.isfinite(own):
        return
    theirs = own.detach().float() - (0 if auxiliary is None else auxiliary.detach().float())
    weight = torch.ones(batch.size, device=own.device) if batch.labels.ndim == 1 else _label_counts(batch, head)
    ours = (scores["loss"].detach().float() * weight).sum() / weight.sum().clamp_min(1)
    tolerance = 1e-3 if own.dtype == torch.float32 else 2e-2
    if (ours - theirs).abs() > tolerance * (1 + theirs.abs()):
        raise EmpruneError(
            f"the model's own loss of the first batch is {theirs.item():.6g}, but the cross-entropy of its logits is "
            f"{ours.item():.6g}: it computes something else, which a pruned run would not train. {ADVICE}"
        )


def _label_counts(batch: Batch, head: Head | None) -> torch.Tensor:
    """float32, shape [B]: tokens of each sample that a loss is computed for."""
    labelled = batch.labels != IGNORED
    if head == "next tokens" and not batch.shifted:
        labelled = labelled & (torch.arange(labelled.shape[1], device=labelled.device) > 0)
    if batch.sequences is None:
        return labelled.sum(dim=1).float()
    return torch.bincount(batch.sequences[labelled & (batch.sequences >= 0)], minlength=batch.size).float()


def _of_log_probs(outputs: Mapping[str, Any], batch: Batch) -> Scores:
    """Means over each sample's labelled tokens of what TRL's language model head gives without making logits."""
    labelled, sequences = outputs["label_mask"], batch.sequences
    if sequences is not None and sequences.shape[1] > labelled.shape[1]:
        sequences = sequences[:, 1:]  # it gives the labels' values, from the second one on
    loss, memory = (
        sequence_means(values.float(), labelled, sequences, batch.size)
        for values in (-outputs["log_probs"], outputs["entropy"].detach())
    )
    return {"loss": loss, "memory": memory}
