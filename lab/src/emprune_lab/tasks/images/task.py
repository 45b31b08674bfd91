"""Image classification as a task."""

from __future__ import annotations

from functools import partial

import torch

from emprune.errors import ArgumentError
from emprune_lab.data import IMAGES, LabelledData
from emprune_lab.data.resident import ResidentImages
from emprune_lab.networks import models
from emprune_lab.networks.evaluate import EVALUATION_BATCH
from emprune_lab.networks.network import Network
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks.classification import ACCURACY, ClassificationTask, load
from emprune_lab.tasks.images.augment import ShiftAndFlip
from emprune_lab.tasks.images.presets import PRESETS, ImageSettings
from emprune_lab.tasks.kind import Kind

_DRAWN_AHEAD = 32
"""Batches of random numbers in one transfer; on the CPU there is none to save."""


def check(spec: RunSpec, num_samples: int) -> None:
    """Raise ArgumentError where the model is unknown."""
    models.check_name(spec.recipe.model)


def build(spec: RunSpec, data: LabelledData, device: torch.device, *, compiled: bool = False) -> ClassificationTask:
    """The task of a spec.

    Raises:
        ArgumentError: the model is unknown, or has fewer outputs than the data has classes, or images are to be
            shifted out of sight.
    """
    recipe, settings = spec.recipe, spec.recipe.of_task(ImageSettings)
    images = ResidentImages(data.inputs, device, settings.pool)
    _, channels, size, _ = images.shape
    if settings.shift >= size:
        raise ArgumentError("shift", settings.shift, f"at most {size - 1} pixels, for images of {size}")
    model = models.build(recipe.model, channels, size, data.num_classes, spec.seed)
    return ClassificationTask(
        data, Network(model, data, recipe.precision, device, compiled=compiled), images,
        lambda: ResidentImages(data.test_inputs, device, settings.pool),
        label_smoothing=settings.label_smoothing,
        evaluation_batch=EVALUATION_BATCH,
        augment=ShiftAndFlip(settings.shift, spec.seed, ahead=1 if device.type == "cpu" else _DRAWN_AHEAD),
    )  # fmt: skip


KIND = Kind(
    ImageSettings, IMAGES, PRESETS, (ACCURACY,), partial(load, IMAGES), build, check,
    honours=("label_noise", "imbalance", "compile"), labelled=True,
)  # fmt: skip
