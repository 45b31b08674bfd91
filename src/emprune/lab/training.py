"""Training: model, optimiser and pruner of one run, the plain loop around them, and its checkpoint."""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import emprune
from emprune.errors import DataError
from emprune.lab import models
from emprune.lab.augment import shift_and_flip
from emprune.lab.data import ImageData
from emprune.lab.evaluate import Evaluation, evaluate
from emprune.lab.results import write_atomically
from emprune.lab.spec import RunSpec, build_pruner


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        epoch: from 0. epochs: of the run.
        kept: samples of this epoch. num_samples: N.
        step, total_steps: optimiser steps of the run, done and in all.
        loss: nats, accuracy: fraction right, both over this epoch's training batches so far.
        samples_per_second: of training. seconds_left: estimated.
        seconds_saved: estimated for the whole run, against full data for the recipe's epochs.
    """

    epoch: int
    epochs: int
    kept: int
    num_samples: int
    step: int
    total_steps: int
    loss: float
    accuracy: float
    samples_per_second: float
    seconds_left: float
    seconds_saved: float


class Training:
    """One run in memory, with all data on the device.

    Args:
        spec: what to train.
        data: the set, label noise included.
        device: where.

    Attributes:
        history: one entry for each finished epoch: kept, loss, accuracy, seconds.
        seconds: spent training so far, in all sessions of the run.
    """

    def __init__(self, spec: RunSpec, data: ImageData, device: str = "cpu") -> None:
        recipe = spec.recipe
        self.spec, self.data, self.device = spec, data, torch.device(device)
        self.images, self.labels = self._prepare(data.images), data.labels.to(self.device)
        _, channels, size, _ = self.images.shape
        self.model = models.build(recipe.model, channels, size, data.num_classes, spec.seed).to(self.device)
        self.pruner = build_pruner(spec, len(data))
        self.total_steps = self.pruner.total_steps(recipe.batch_size)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=recipe.max_lr, momentum=recipe.momentum,
            weight_decay=recipe.weight_decay, nesterov=True,
        )  # fmt: skip
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=recipe.max_lr, total_steps=self.total_steps
        )
        self.history: list[dict[str, float]] = []
        self.seconds = 0.0
        self._epoch_sums = self._zero_sums()

    def epochs(self, after_step: Callable[[], None]) -> None:
        """Train what is left of the run.

        Args:
            after_step: called between steps; may save a checkpoint, and may raise to stop.
        """
        self.model.train()
        batches = emprune.IdBatches(self.pruner, self.spec.recipe.batch_size)
        for _ in self.pruner.epochs():
            for ids in batches:
                began = time.perf_counter()
                self._step(ids)
                self._add_seconds(time.perf_counter() - began)
                after_step()
            self.history.append(self._epoch_entry())
            self._epoch_sums = self._zero_sums()

    def evaluate_test(self) -> Evaluation:
        """The model on the images held out."""
        return evaluate(self.model, self._prepare(self.data.test_images), self.data.test_labels.to(self.device))

    def evaluate_train(self) -> Evaluation:
        """The model on the whole training set, against the labels trained on."""
        return evaluate(self.model, self.images, self.labels)

    def progress(self) -> Progress:
        """Where the run stands."""
        done = self.pruner.report()
        speed = done.samples_backward / max(self.seconds, 1e-9)
        spared = len(self.data) * self.spec.recipe.epochs - sum(self.pruner.kept)
        epoch = min(self.pruner.epoch, self.pruner.num_epochs - 1)
        entry = self._epoch_entry() if self._epoch_sums["samples"] else self.history[-1]
        return Progress(
            epoch=epoch,
            epochs=self.pruner.num_epochs,
            kept=self.pruner.kept[epoch],
            num_samples=len(self.data),
            step=done.steps,
            total_steps=self.total_steps,
            loss=entry["loss"],
            accuracy=entry["accuracy"],
            samples_per_second=speed,
            seconds_left=self.seconds / max(1, done.steps) * (self.total_steps - done.steps),
            seconds_saved=spared / max(speed, 1e-9),
        )

    def save(self, path: Path) -> None:
        """Write everything that training needs to go on; the old file stays until the new one is whole."""
        parts = {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler, "pruner": self.pruner}
        state: dict[str, Any] = {name: part.state_dict() for name, part in parts.items()}  # type: ignore[attr-defined]
        state |= {"history": self.history, "sums": self._epoch_sums, "seconds": self.seconds}
        packed = io.BytesIO()
        torch.save(state, packed)
        write_atomically(path, packed.getvalue())

    def restore(self, path: Path) -> None:
        """Go on from a file written by :meth:`save`, in mid-epoch too.

        Raises:
            DataError: the file is damaged.
        """
        try:
            state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
            raise DataError(f"{path} is damaged; remove it to begin this run again.") from error
        self.pruner.load_state_dict(state["pruner"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.history, self._epoch_sums, self.seconds = state["history"], state["sums"], state["seconds"]

    def _step(self, ids: torch.Tensor) -> None:
        recipe, position = self.spec.recipe, self._epoch_sums["samples"]
        images = shift_and_flip(self.images[ids], recipe.shift, self.spec.seed, self.pruner.epoch, position)
        logits, labels = self.model(images), self.labels[ids]
        loss, memory = emprune.scoring.classification(logits, labels, label_smoothing=recipe.label_smoothing)
        self.pruner.loss(ids, loss, memory).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.scheduler.step()
        self._epoch_sums["samples"] += len(ids)
        self._epoch_sums["loss"] += loss.detach().sum()
        self._epoch_sums["right"] += (logits.argmax(1) == labels).sum()

    def _add_seconds(self, seconds: float) -> None:
        self.seconds += seconds
        self._epoch_sums["seconds"] += seconds

    def _prepare(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 [N, C, H, W] to float32 around zero, pooled, channels last, on the device."""
        scaled = images.to(self.device).float().div_(127.5).sub_(1)
        pooled = torch.nn.functional.avg_pool2d(scaled, self.spec.recipe.pool)
        return pooled.contiguous(memory_format=torch.channels_last)

    def _zero_sums(self) -> dict[str, Any]:
        zero = torch.zeros((), device=self.device)
        return {"samples": 0, "loss": zero.clone(), "right": zero.clone(), "seconds": 0.0}

    def _epoch_entry(self) -> dict[str, float]:
        sums = self._epoch_sums
        samples = max(1, sums["samples"])
        return {
            "kept": sums["samples"],
            "loss": float(sums["loss"]) / samples,
            "accuracy": float(sums["right"]) / samples,
            "seconds": sums["seconds"],
        }
