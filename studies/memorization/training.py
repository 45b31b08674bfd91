"""The training behind the study: many small models on subsets at once, and ordinary runs through a pruner."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from emprune import IdBatches, Pruner, scoring
from emprune.seeding import generator
from emprune_lab.data import LabelledData
from emprune_lab.data.resident import ResidentImages
from emprune_lab.networks import evaluate as lab_evaluate
from emprune_lab.networks import models


@dataclass(frozen=True)
class Setup:
    """How every model of a study is trained: SGD with Nesterov momentum under OneCycle, nothing augmented.

    Attributes:
        model: name in the lab's models. epochs, batch_size, max_lr, momentum, weight_decay: of the optimiser.
        pool: images are averaged over pool × pool pixels.
        train_size: N, the first samples of the published order; None: all.
    """

    model: str
    epochs: int
    batch_size: int
    max_lr: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    pool: int = 1
    train_size: int | None = None


class Task(NamedTuple):
    """Images as the models see them.

    Attributes:
        images: float32, shape [N, C, H, W], around zero, channels last. labels: int64, shape [N].
        num_classes: labels lie in [0, num_classes).
    """

    images: torch.Tensor
    labels: torch.Tensor
    num_classes: int

    def build(self, model: str, seed: int) -> nn.Module:
        """A fresh model of a seed."""
        _, channels, size, _ = self.images.shape
        return models.build(model, channels, size, self.num_classes, seed)


class Outcome(NamedTuple):
    """Finished models on all N samples; shapes [..., N].

    Attributes:
        loss, entropy: float32, nats. predicted: int8, the class with the highest logit.
    """

    loss: NDArray[np.float32]
    entropy: NDArray[np.float32]
    predicted: NDArray[np.int8]


def tasks_of(data: LabelledData, pool: int) -> tuple[Task, Task]:
    """Training and test set: uint8 to float32 in [-1, 1], averaged over pool × pool pixels."""
    images, test_images = (
        ResidentImages(stored, torch.device("cpu"), pool)[:] for stored in (data.inputs, data.test_inputs)
    )
    train_part = Task(images, data.labels, data.num_classes)
    return train_part, Task(test_images, data.test_labels, data.num_classes)


def train_subsets(task: Task, setup: Setup, subsets: NDArray[np.int64], seeds: list[int]) -> Outcome:
    """Train one model on each subset and evaluate it on every sample.

    Models without buffers are trained side by side, with stacked weights, which is several times faster for
    small ones; batch norm keeps its running means in buffers and is trained model by model.

    Args:
        subsets: int64, shape [G, K], ids of the samples that a model may see, in increasing order.
        seeds: G numbers that decide weights and batch order.

    Returns:
        Arrays of shape [G, N].
    """
    if next(task.build(setup.model, 0).buffers(), None) is None:
        return _train_stacked(task, setup, torch.from_numpy(subsets), seeds)
    outcomes = []
    for subset, seed in zip(torch.from_numpy(subsets), seeds, strict=True):
        part = Task(task.images[subset], task.labels[subset], task.num_classes)
        pruner = Pruner(len(subset), "full", prune_rate=0.0, num_epochs=setup.epochs, seed=seed)
        outcomes.append(evaluate(train(part, setup, pruner), task))
    return Outcome(*(np.stack(column) for column in zip(*outcomes, strict=True)))


def train(
    task: Task, setup: Setup, pruner: Pruner, after_epoch: Callable[[nn.Module], None] = lambda model: None
) -> nn.Module:
    """An ordinary run on what a pruner chooses; the pruner's seed decides the weights too.

    Args:
        after_epoch: called with the model once the epoch's observations lie in the pruner's table.
    """
    model = task.build(setup.model, pruner.seed).train()
    optimizer, scheduler = _optimizer(model.parameters(), setup, pruner.total_steps(setup.batch_size))
    while pruner.epoch < pruner.num_epochs:
        for ids in IdBatches(pruner, setup.batch_size):
            loss, memory = scoring.classification(model(task.images[ids]), task.labels[ids])
            pruner.loss(ids, loss, memory).backward()  # type: ignore[no-untyped-call]
            _step(optimizer, scheduler)
        pruner.end_epoch()
        after_epoch(model)
    return model


def evaluate(model: nn.Module, task: Task) -> Outcome:
    """Run the model in evaluation mode over all images, in order; the mode is put back afterwards."""
    found = lab_evaluate.evaluate(model, task.images, task.labels)
    return Outcome(found.loss, found.entropy, found.predicted.astype(np.int8))


def batch_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order in which one of the stacked models goes through its subset: int64, shape [count]."""
    return generator(seed, epoch, "subset model's order").permutation(count)


def _train_stacked(task: Task, setup: Setup, subsets: torch.Tensor, seeds: list[int]) -> Outcome:
    networks = [task.build(setup.model, seed) for seed in seeds]
    weights = {name: value.detach().requires_grad_() for name, value in stack_module_state(networks)[0].items()}
    forward = vmap(_forward_of(networks[0]))
    count = subsets.shape[1]
    optimizer, scheduler = _optimizer(weights.values(), setup, setup.epochs * -(-count // setup.batch_size))
    for epoch in range(setup.epochs):
        orders = torch.from_numpy(np.stack([batch_order(seed, epoch, count) for seed in seeds]))
        for ids in torch.split(subsets.gather(1, orders), setup.batch_size, dim=1):
            logits = forward(weights, task.images[ids]).flatten(0, 1)
            loss = F.cross_entropy(logits, task.labels[ids].flatten(), reduction="sum")
            # The sum of the models' mean losses: each model's gradient is then what it would be alone.
            (loss / ids.shape[1]).backward()  # type: ignore[no-untyped-call]
            _step(optimizer, scheduler)
    with torch.no_grad():
        return _outcome(vmap(_forward_of(networks[0]), in_dims=(0, None))(weights, task.images), task.labels)


def _forward_of(network: nn.Module) -> Callable[[dict[str, torch.Tensor], torch.Tensor], torch.Tensor]:
    """The network as a function of (weights, images)."""

    def forward(weights: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = functional_call(network, weights, (images,))
        return logits

    return forward


def _outcome(logits: torch.Tensor, labels: torch.Tensor) -> Outcome:
    """Of logits of shape [..., N, C]."""
    rows = logits.flatten(0, -2)
    loss, entropy = scoring.classification(rows, labels.repeat(len(rows) // len(labels)))
    predicted = rows.argmax(1).to(torch.int8)
    return Outcome(*(column.view(logits.shape[:-1]).numpy() for column in (loss, entropy, predicted)))


def _optimizer(
    parameters: Iterable[torch.Tensor], setup: Setup, total_steps: int
) -> tuple[torch.optim.SGD, torch.optim.lr_scheduler.OneCycleLR]:
    optimizer = torch.optim.SGD(
        parameters, lr=setup.max_lr, momentum=setup.momentum, weight_decay=setup.weight_decay, nesterov=True
    )
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=setup.max_lr, total_steps=total_steps)


def _step(optimizer: torch.optim.SGD, scheduler: torch.optim.lr_scheduler.OneCycleLR) -> None:
    optimizer.step()
    optimizer.zero_grad()
    scheduler.step()
