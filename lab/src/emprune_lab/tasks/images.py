"""Image classification as a task."""

from __future__ import annotations

import torch

from emprune_lab import data as lab_data
from emprune_lab.data import LabelledData
from emprune_lab.data.augment import ShiftAndFlip
from emprune_lab.data.resident import ResidentImages
from emprune_lab.networks import models
from emprune_lab.networks.evaluate import EVALUATION_BATCH
from emprune_lab.networks.network import Network
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks.classification import ClassificationTask

_DRAWN_AHEAD = 32
"""Batches of random numbers in one transfer; on the CPU there is none to save."""


def load(spec: RunSpec) -> LabelledData:
    """The labelled set that a spec trains on, read from its files."""
    loaded = lab_data.load(spec.data, spec.data_dir, split=spec.split, train_size=spec.recipe.train_size)
    return lab_data.as_trained(loaded, imbalance=spec.imbalance, label_noise=spec.label_noise, seed=spec.seed)


def build(spec: RunSpec, data: LabelledData, device: torch.device, *, compiled: bool = False) -> ClassificationTask:
    """The task of a spec.

    Raises:
        ArgumentError: the model is unknown, or has fewer outputs than the data has classes.
    """
    recipe = spec.recipe
    images = ResidentImages(data.inputs, device, recipe.pool)
    _, channels, size, _ = images.shape
    model = models.build(recipe.model, channels, size, data.num_classes, spec.seed)
    return ClassificationTask(
        data, Network(model, data, recipe.precision, device, compiled=compiled), images,
        lambda: ResidentImages(data.test_inputs, device, recipe.pool),
        label_smoothing=recipe.label_smoothing,
        evaluation_batch=EVALUATION_BATCH,
        augment=ShiftAndFlip(recipe.shift, spec.seed, ahead=1 if device.type == "cpu" else _DRAWN_AHEAD),
    )  # fmt: skip
