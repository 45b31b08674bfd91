"""One run: a task, a policy and a seed, to its metric."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from studies.tasks.canvases import Canvases, canvases
from torch import nn

from emprune import IdBatches, Pruner
from emprune.scoring import PerSample, dense, multilabel


class Segmenter(nn.Module):
    """Two resolutions and one connection between them; logits of 11 classes a pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = _convolution(1, 24)
        self.coarse = nn.Sequential(
            nn.MaxPool2d(2), _convolution(24, 48), _convolution(48, 48), nn.Upsample(scale_factor=2)
        )
        self.head = nn.Sequential(_convolution(72, 24), nn.Conv2d(24, 11, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        fine = self.fine(images)
        return self.head(torch.cat([fine, self.coarse(fine)], dim=1))  # type: ignore[no-any-return]


def classifier() -> nn.Module:
    """Logits of 10 labels an image."""
    layers = [_convolution(1, 24), nn.MaxPool2d(2), _convolution(24, 48), nn.MaxPool2d(2), _convolution(48, 96)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(96 * 16, 10))


def mean_average_precision(model: nn.Module, data: Canvases) -> float:
    """Mean over labels of the area under precision over recall, in [0, 1]."""
    return float(average_precision_score(data.present.numpy(), _outputs(model, data.images).numpy(), average="macro"))


def mean_iou(model: nn.Module, data: Canvases) -> float:
    """Mean over classes of intersection over union of all pixels, in [0, 1]."""
    found, right = _outputs(model, data.images).argmax(1).flatten(), data.masks.flatten()
    counts = np.bincount((right * 11 + found).numpy(), minlength=121).reshape(11, 11)
    both = counts.diagonal()
    return float((both / (counts.sum(0) + counts.sum(1) - both)).mean())


@dataclass(frozen=True)
class Task:
    """What is trained and how it is measured."""

    model: Callable[[], nn.Module]
    targets: Callable[[Canvases], torch.Tensor]
    score: Callable[[torch.Tensor, torch.Tensor], PerSample]
    metric: str
    measure: Callable[[nn.Module, Canvases], float]


TASKS = {
    "multilabel": Task(
        classifier, lambda data: data.present, multilabel, "mean average precision", mean_average_precision
    ),
    "dense": Task(Segmenter, lambda data: data.masks, dense, "mean IoU", mean_iou),
}


@dataclass(frozen=True)
class Settings:
    """What all runs share; sizes in canvases."""

    train_size: int = 4000
    test_size: int = 2000
    epochs: int = 20
    batch_size: int = 50
    max_lr: float = 4e-3
    prune_rate: float = 0.7


def train(name: str, policy: str, seed: int, settings: Settings) -> dict[str, Any]:
    """Train and evaluate; ``short`` is all data in as many samples as the pruned runs have.

    The canvases are those of the seed, so that runs of one seed are paired.
    """
    task, epochs, rate = TASKS[name], settings.epochs, settings.prune_rate
    if policy in ("full", "short"):
        epochs, rate = (epochs if policy == "full" else round(epochs * (1 - rate))), 0.0
    data = canvases(settings.train_size, seed, train=True)
    targets = task.targets(data)
    torch.manual_seed(seed)
    model = task.model()
    pruner = Pruner(len(targets), "emp" if policy == "emp" else "random", prune_rate=rate, num_epochs=epochs, seed=seed)
    batches = IdBatches(pruner, settings.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.max_lr)
    steps = pruner.total_steps(settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.max_lr, total_steps=steps)
    began = time.perf_counter()
    for _ in pruner.epochs():
        for ids in batches:
            loss = pruner.loss(ids, *task.score(model(data.images[ids]), targets[ids]))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    seconds, report = time.perf_counter() - began, pruner.report()
    model.eval()
    return {
        "task": name, "policy": policy, "seed": seed, "metric": task.metric,
        "value": task.measure(model, canvases(settings.test_size, seed, train=False)),
        "train_value": task.measure(model, data), "samples_backward": report.samples_backward, "steps": report.steps,
        "realised_rate": 1 - report.samples_backward / (settings.train_size * settings.epochs), "seconds": seconds,
    }  # fmt: skip


@torch.no_grad()
def _outputs(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    model.eval()
    return torch.cat([model(part) for part in torch.split(images, 250)])


def _convolution(before: int, after: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())
