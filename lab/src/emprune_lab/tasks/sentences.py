"""Fine-tuning a pretrained encoder on sentences as a task."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.errors import ArgumentError
from emprune_lab.data import SentenceData
from emprune_lab.language.pretrained import Attention, load_tokenizer
from emprune_lab.language.sentence_encoder import ResidentSentences, sentence_classifier
from emprune_lab.networks.network import Network, step_seed
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks.classification import ClassificationTask
from emprune_lab.tasks.images import load

__all__ = ["HEADLINES", "build", "load"]

HEADLINES = {"cola": "matthews", "mrpc": "accuracy", "rte": "accuracy", "sst-2": "accuracy"}
"""The headline measure of each task: GLUE's own; of MRPC's two, accuracy, since F1 is high for who says yes to all."""
_EVALUATION_BATCH = 256
_SHORTEST = 4


def build(spec: RunSpec, data: SentenceData, device: torch.device, *, compiled: bool = False) -> ClassificationTask:
    """The task of a spec.

    Raises:
        ArgumentError: there is no such encoder, or the recipe is not one of sentences.
        DataError: transformers, or the package with the default encoder, is missing.
    """
    recipe = spec.recipe
    if recipe.window < _SHORTEST:
        raise ArgumentError("window", recipe.window, f"an integer of at least {_SHORTEST}, tokens of a sentence")
    tokenizer = load_tokenizer(recipe.model)
    resident = partial(ResidentSentences, tokenizer=tokenizer, max_length=recipe.window, device=device)
    # In bfloat16 on a processor, the backward pass of torch's fused attention takes a quarter of a step.
    attention: Attention = "eager" if device.type == "cpu" and recipe.precision == "bfloat16" else "sdpa"
    model = sentence_classifier(recipe.model, tokenizer, data.num_classes, spec.seed, recipe.dropout, attention)

    return ClassificationTask(
        data, Network(model, data, recipe.precision, device, compiled=compiled), resident(data.inputs),
        lambda: resident(data.test_inputs),
        label_smoothing=recipe.label_smoothing,
        evaluation_batch=_EVALUATION_BATCH,
        step_seed=partial(step_seed, spec.seed) if recipe.dropout else None,
        metric=HEADLINES[spec.data],
        measures=glue_measures,
        per_sample_gradients=False,  # the encoders look at their masks' values, which vmap forbids
    )  # fmt: skip


def glue_measures(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> dict[str, float]:
    """GLUE's measures of a task with two classes: accuracy, F1 of class 1, and Matthews' correlation, 0 for a constant.

    >>> {name: round(value, 3) for name, value in glue_measures(np.array([0, 1, 1]), np.array([0, 1, 0])).items()}
    {'accuracy': 0.667, 'f1': 0.667, 'matthews': 0.5}
    """
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "f1": float(f1_score(labels, predicted, zero_division=0)),
        "matthews": float(matthews_corrcoef(labels, predicted)),
    }
