"""Contrastive learning of images as a task: two augmented views of each, no labels; SimCLR and MoCo v2."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch

from emprune import InBatchPolicy
from emprune.errors import ArgumentError
from emprune.scoring import contrastive
from emprune_lab.data import IMAGES, LabelledData
from emprune_lab.data.resident import ResidentImages
from emprune_lab.networks import models
from emprune_lab.records.metrics import Metric
from emprune_lab.specs.recipe import Precision
from emprune_lab.specs.spec import RunSpec, build_policy, build_pruner, memory_of, rate_of
from emprune_lab.tasks import classification
from emprune_lab.tasks.base import Scores, Task, TrainingSet
from emprune_lab.tasks.contrastive.evaluation import measures
from emprune_lab.tasks.contrastive.methods import SimCLR, build_method
from emprune_lab.tasks.contrastive.presets import PRESETS
from emprune_lab.tasks.contrastive.retrieval import retrieved
from emprune_lab.tasks.contrastive.settings import MEMORIES, METHODS, Contrastive, looked_at_by
from emprune_lab.tasks.contrastive.views import plain_views, two_views
from emprune_lab.tasks.kind import Kind

METRICS = (
    Metric("knn", "kNN accuracy"),
    Metric("linear probe", "linear probe"),
    Metric(
        "linear probe, 10 % of labels", "linear probe on a tenth of the labels",
    ),
)  # fmt: skip
LISTED = (
    *(
        ("memory", name, f"{what.capitalize()}.", "contrastive runs: emp:memory=NAME")
        for name, what in MEMORIES.items()
    ),
    *(("method", name, "Learning without labels: --preset NAME.", source) for name, source in METHODS.items()),
)
QUICK_LOOK = 512
"""After an epoch, so many training images are looked at."""
_FEATURE_BATCH = 1000


class Views(NamedTuple):
    """Two views of the same images, float32 [B, C, H, W] each."""

    first: torch.Tensor
    second: torch.Tensor


def load(spec: RunSpec) -> LabelledData:
    """The images of a spec; their labels only serve to evaluate what was learnt without them.

    Raises:
        DataError: a file is missing or not the published one.
    """
    return classification.load(IMAGES, spec)


def check(spec: RunSpec, num_samples: int) -> None:
    """Raise ArgumentError where so many images cannot be trained as the spec says."""
    models.check_name(spec.recipe.model)
    policy, batch_size, settings = build_policy(spec.policy), spec.recipe.batch_size, settings_of(spec)
    if settings.method == "moco" and settings.queue < batch_size:
        raise ArgumentError("queue", settings.queue, f"at least the batch size, {batch_size}")
    if isinstance(policy, InBatchPolicy) or set(policy.inputs) - {"loss", "memory"}:
        raise ArgumentError(
            "policy", policy.name, "one that plans whole epochs from losses and memory terms: there are no class "
            "labels, and a part of a batch would have other negatives than the batch",
        )  # fmt: skip
    if rate_of(spec.policy):
        allowed = "one at a rate known beforehand: a last batch of one image would have no negatives"
        raise ArgumentError("policy", spec.policy, allowed)
    for kept in build_pruner(spec, num_samples).kept:
        if kept % batch_size == 1:
            raise ArgumentError(
                "batch_size", batch_size, f"one that does not leave 1 of {kept} images alone: it has no negatives"
            )


def build(spec: RunSpec, data: LabelledData, device: torch.device, *, compiled: bool = False) -> ContrastiveTask:
    """The task of a spec. Raises ArgumentError where the memory term has no layers in the model."""
    recipe, resident = spec.recipe, ResidentImages(data.inputs, device)
    _, channels, size, _ = resident.shape
    method = build_method(
        recipe.model, channels, size, settings_of(spec), recipe.batch_size, spec.seed, compiled=compiled
    )
    return ContrastiveTask(
        data, method.to(device), resident, ResidentImages(data.test_inputs, device), recipe.of_task(Contrastive),
        batch_size=recipe.batch_size, seed=spec.seed, precision=recipe.precision,
    )  # fmt: skip


def settings_of(spec: RunSpec) -> Contrastive:
    """The recipe's contrastive settings with the memory term of the run: what the policy's label asks for, else the
    recipe's, or "none" where the policy needs none and nothing should be spent on it.
    """
    settings = spec.recipe.of_task(Contrastive)
    if "memory" not in build_policy(spec.policy).inputs:
        return dataclasses.replace(settings, memory="none")
    return dataclasses.replace(settings, **memory_of(spec))


class ContrastiveTask(Task):
    """A contrastive method and the images it learns from; see :class:`emprune_lab.tasks.base.Task`.

    Scores.right and TrainingSet.right say whether an image is retrieved: of all views of the images at hand, the one
    nearest to its own is its other view. TrainingSet.entropy is the recipe's memory term, whatever the policy's.

    Args:
        data: its labels are used to evaluate only.
        method: on the images' device.
        inputs, test_inputs: of the set, resident.
        looked_at: temperatures by which the training set is looked at, the same for every policy.
        batch_size: of training, whose negatives all forward passes have.
        seed: of views.
        precision: "bfloat16" runs the method under autocast.
    """

    model: SimCLR
    metric = "knn"

    def __init__(
        self,
        data: LabelledData,
        method: SimCLR,
        inputs: ResidentImages,
        test_inputs: ResidentImages,
        looked_at: Contrastive,
        *,
        batch_size: int,
        seed: int,
        precision: Precision = "float32",
    ) -> None:
        self.data, self.model, self.inputs, self.test_inputs = data, method, inputs, test_inputs
        self.num_samples, self.evaluation_batch, self._looked = len(data), batch_size, looked_at
        self._seed, self._half = seed, precision == "bfloat16"
        self._device = next(method.parameters()).device

    def batch(self, ids: torch.Tensor, epoch: int, position: int) -> Views:
        """Two random views of each image."""
        return Views(*two_views(self.inputs[ids], self._seed, epoch, position))

    def plain_batch(self, ids: torch.Tensor) -> Views:
        """Two views that do not depend on the epoch."""
        return Views(*plain_views(self.inputs[ids], self._seed, int(ids[0])))

    def forward(self, batch: Views, inputs: tuple[str, ...] = ()) -> Scores:
        """Loss and memory term of each image, means over its two views where both are anchors."""
        with self._autocast():
            (loss, memory), projected = self.model(batch.first, batch.second)
        return Scores(loss, memory, retrieved(*projected))

    def evaluate_test(self) -> dict[str, float]:
        """Nearest neighbours and linear probes on the base encoder's output for the plain images."""
        labels, test_labels = self.data.true_labels.to(self._device), self.data.test_labels.to(self._device)
        return measures(
            self._features(self.inputs), labels, self._features(self.test_inputs), test_labels,
            self.data.num_classes, self._seed,
        )  # fmt: skip

    def after_epoch(self) -> dict[str, float]:
        """The mean memory term of the recipe and the fraction retrieved, of a fixed part of the training set."""
        ids = torch.linspace(0, self.num_samples - 1, min(QUICK_LOOK, self.num_samples)).long()
        _, memory, right = self._looked_at(ids)
        return {"memory": float(memory.mean()), "retrieved": float(right.float().mean())}

    def evaluate_train(self) -> TrainingSet:
        """The whole training set, batch by batch in the order of ids."""
        loss, memory, right = (values.cpu().numpy() for values in self._looked_at(torch.arange(self.num_samples)))
        return TrainingSet(loss, memory, right, right, np.zeros(self.num_samples, dtype=bool))

    def _looked_at(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """SimCLR's loss, the recipe's memory term and whether it is retrieved, of each image's fixed views."""
        size, settings = self.evaluation_batch, self._looked
        parts = list(ids.split(size))  # type: ignore[no-untyped-call]
        if len(parts) > 1 and len(parts[-1]) == 1:
            parts[-2:] = [torch.cat(parts[-2:])]
        found = []
        with self._evaluating():
            for part in parts:
                views = torch.cat(self.plain_batch(part))
                hidden, projected = (values.float().chunk(2) for values in self.model.online(views))
                loss, memory = contrastive(
                    *projected, memory=looked_at_by(settings.memory), hidden=[hidden],
                    temperature=settings.temperature, memory_temperature=settings.memory_temperature,
                    batch_size=max(size, len(part)),
                )  # fmt: skip
                found.append((loss, memory, retrieved(*projected)))
        loss, memory, right = (torch.cat(column) for column in zip(*found, strict=True))
        return loss, memory, right

    def _features(self, images: ResidentImages) -> torch.Tensor:
        with self._evaluating():
            return torch.cat([
                self.model.online.encoder(images[begin : begin + _FEATURE_BATCH]).float()
                for begin in range(0, len(images), _FEATURE_BATCH)
            ])  # fmt: skip

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad(), self._autocast():
                yield
        finally:
            self.model.train(was_training)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._half)


KIND = Kind(
    Contrastive, IMAGES, PRESETS, METRICS, load, build, check, lambda recipe: str(recipe["contrastive"]["method"]),
    honours=("imbalance", "compile"), labelled=True, listed=LISTED,
)  # fmt: skip
