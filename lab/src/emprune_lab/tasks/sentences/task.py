"""Fine-tuning a pretrained encoder on sentences as a task."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.errors import ArgumentError
from emprune_lab.networks.network import Network, step_seed
from emprune_lab.records.metrics import Metric
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks.classification import ACCURACY, ClassificationTask, load
from emprune_lab.tasks.kind import Kind
from emprune_lab.tasks.sentences.encoder import ResidentSentences, sentence_classifier
from emprune_lab.tasks.sentences.glue import GLUE, SentenceData
from emprune_lab.tasks.sentences.presets import PRESETS, SentenceSettings
from emprune_lab.tasks.sentences.pretrained import Attention
from emprune_lab.tasks.sentences.pretrained import load as load_pretrained

HEADLINES = {"cola": "matthews", "mrpc": "accuracy", "rte": "accuracy", "sst-2": "accuracy"}
"""The headline measure of each task: GLUE's own; of MRPC's two, accuracy, since F1 is high for who says yes to all."""
METRICS = (
    ACCURACY,
    Metric("f1", "F1"),
    Metric("matthews", "Matthews × 100", unit="", difference_unit="points of 100"),
)
_EVALUATION_BATCH = 256
_SHORTEST = 4


def check(spec: RunSpec, num_samples: int) -> None:
    """Raise ArgumentError where the window is too short."""
    window = spec.recipe.of_task(SentenceSettings).window
    if window < _SHORTEST:
        raise ArgumentError("window", window, f"an integer of at least {_SHORTEST}, tokens of a sentence")


def build(spec: RunSpec, data: SentenceData, device: torch.device, *, compiled: bool = False) -> ClassificationTask:
    """The task of a spec.

    Raises:
        ArgumentError: there is no such encoder, or a setting is not allowed.
        DataError: transformers, or the package with the default encoder, is missing.
    """
    recipe, settings = spec.recipe, spec.recipe.of_task(SentenceSettings)
    tokenizer = load_pretrained(recipe.model, "AutoTokenizer")
    resident = partial(ResidentSentences, tokenizer=tokenizer, max_length=settings.window, device=device)
    # In bfloat16 on a processor, the backward pass of torch's fused attention takes a quarter of a step.
    attention: Attention = "eager" if device.type == "cpu" and recipe.precision == "bfloat16" else "sdpa"
    model = sentence_classifier(recipe.model, tokenizer, data.num_classes, spec.seed, settings.dropout, attention)

    return ClassificationTask(
        data, Network(model, data, recipe.precision, device, compiled=compiled), resident(data.inputs),
        lambda: resident(data.test_inputs),
        evaluation_batch=_EVALUATION_BATCH,
        step_seed=partial(step_seed, spec.seed) if settings.dropout else None,
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


KIND = Kind(
    SentenceSettings, GLUE, PRESETS, METRICS, partial(load, GLUE), build, check,
    honours=("label_noise", "imbalance", "compile"), labelled=True,
)  # fmt: skip
