"""The training behind the study: many small models on subsets at once, and ordinary runs through a pruner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from studies.memorization.estimate import SubsetModels
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from emprune import IdBatches, Pruner, scoring
from emprune.seeding import generator
from emprune_lab.data import load, with_label_noise
from emprune_lab.data.resident import ResidentImages
from emprune_lab.networks import models
from emprune_lab.networks.evaluate import Evaluation
from emprune_lab.networks.evaluate import evaluate as evaluate_on

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Setup:
    """How every model of a condition is trained: SGD with Nesterov momentum under OneCycle, nothing augmented.

    Attributes:
        data: name of the lab's data set. model: of the lab's model. epochs, batch_size, max_lr, momentum,
            weight_decay: of the optimiser.
        pool: images are averaged over pool × pool pixels.
        train_size: N, the first samples of the published order; None: all.
        label_noise: fraction of wrong training labels, the same ones for all models.
    """

    data: str
    model: str
    epochs: int
    batch_size: int
    max_lr: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    pool: int = 1
    train_size: int | None = None
    label_noise: float = 0.0


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


@cache
def load_tasks(setup: Setup, data_dir: str | None = None) -> tuple[Task, Task, NDArray[np.bool_]]:
    """Training and test set, and which of the training labels are wrong."""
    data = with_label_noise(load(setup.data, data_dir, train_size=setup.train_size), setup.label_noise, seed=0)
    images, test_images = (
        ResidentImages(stored, torch.device("cpu"), setup.pool)[:] for stored in (data.inputs, data.test_inputs)
    )
    train_set, test_set = (images, data.labels), (test_images, data.test_labels)
    wrong = (data.labels != data.true_labels).numpy()
    return Task(*train_set, data.num_classes), Task(*test_set, data.num_classes), wrong


def subsets_of(num_samples: int, fraction: float, numbers: range) -> NDArray[np.int64]:
    """The subsets of some models, each drawn uniformly: ids in increasing order, int64, shape [G, K].

    A subset depends on its model's number alone, so that a study can grow.
    """
    count = round(fraction * num_samples)
    drawn = [generator(number, 0, "memorisation subset").permutation(num_samples)[:count] for number in numbers]
    return np.sort(np.stack(drawn), axis=1)


def train_subsets(task: Task, setup: Setup, subsets: NDArray[np.int64], seeds: list[int]) -> SubsetModels:
    """Train one model on each subset and evaluate it on every sample.

    Models without buffers are trained side by side, with stacked weights, which is several times faster for
    small ones; batch norm keeps its running means in buffers and is trained model by model.

    Args:
        subsets: int64, shape [G, K], ids of the samples that a model may see, in increasing order.
        seeds: G numbers that decide weights and batch order.
    """
    side_by_side = next(task.build(setup.model, 0).buffers(), None) is None
    predicted, loss = (_train_stacked if side_by_side else _train_each)(task, setup, torch.from_numpy(subsets), seeds)
    inside = np.zeros(loss.shape, dtype=bool)
    np.put_along_axis(inside, subsets, True, axis=1)
    return SubsetModels(inside, predicted.astype(np.int8), loss)


def ordinary_run(setup: Setup, data_dir: str | None, policy: str, prune_rate: float, seed: int) -> Arrays:
    """One run on the whole training set through a pruner.

    Returns:
        times_trained int32 [N], correct bool [N], test_accuracy []; of "full" also the traces loss, entropy,
        seen_loss and seen_entropy, float32 [E, N]: evaluated after each epoch, and as the pruner saw them in training.
    """
    task, test, _ = load_tasks(setup, data_dir)
    pruner = Pruner(len(task.labels), policy, prune_rate=prune_rate, num_epochs=setup.epochs, seed=seed)
    traces: dict[str, list[NDArray[np.float32]]] = {}

    def record(model: nn.Module) -> None:
        after, seen = evaluate(model, task), pruner.table
        values = {"loss": after.loss, "entropy": after.entropy, "seen_loss": seen.loss, "seen_entropy": seen.memory}
        for name, column in values.items():
            traces.setdefault(name, []).append(column.copy())

    model = train(task, setup, pruner, record if policy == "full" else lambda model: None)
    return {
        "times_trained": pruner.table.times_trained.copy(),
        "correct": evaluate(model, task).predicted == task.labels.numpy(),
        "test_accuracy": np.array(np.mean(evaluate(model, test).predicted == test.labels.numpy())),
        **{name: np.stack(columns) for name, columns in traces.items()},
    }


def train(
    task: Task, setup: Setup, pruner: Pruner, after_epoch: Callable[[nn.Module], None] = lambda model: None
) -> nn.Module:
    """Train on what a pruner chooses; the pruner's seed decides the weights too.

    Args:
        after_epoch: called with the model once the epoch's observations lie in the pruner's table.
    """
    model = task.build(setup.model, pruner.seed).train()

    def losses() -> Iterator[torch.Tensor]:
        while pruner.epoch < pruner.num_epochs:
            for ids in IdBatches(pruner, setup.batch_size):
                loss, memory = scoring.classification(model(task.images[ids]), task.labels[ids])
                yield pruner.loss(ids, loss, memory)
            pruner.end_epoch()
            after_epoch(model)

    _minimise(losses(), model.parameters(), setup, pruner.total_steps(setup.batch_size))
    return model


def evaluate(model: nn.Module, task: Task) -> Evaluation:
    """Run the model in evaluation mode over all images, in order; the mode is put back afterwards."""
    return evaluate_on(model, task.images, task.labels)


def batch_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order in which one of the stacked models goes through its subset: int64, shape [count]."""
    return generator(seed, epoch, "subset model's order").permutation(count)


def _train_each(task: Task, setup: Setup, subsets: torch.Tensor, seeds: list[int]) -> tuple[NDArray[Any], NDArray[Any]]:
    found = []
    for subset, seed in zip(subsets, seeds, strict=True):
        part = Task(task.images[subset], task.labels[subset], task.num_classes)
        pruner = Pruner(len(subset), "full", prune_rate=0.0, num_epochs=setup.epochs, seed=seed)
        found.append(evaluate(train(part, setup, pruner), task))
    return np.stack([one.predicted for one in found]), np.stack([one.loss for one in found])


def _train_stacked(
    task: Task, setup: Setup, subsets: torch.Tensor, seeds: list[int]
) -> tuple[NDArray[Any], NDArray[Any]]:
    networks = [task.build(setup.model, seed) for seed in seeds]
    weights = {name: value.detach().requires_grad_() for name, value in stack_module_state(networks)[0].items()}
    count = subsets.shape[1]

    def logits_of(weights: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = functional_call(networks[0], weights, (images,))
        return logits

    def losses() -> Iterator[torch.Tensor]:
        for epoch in range(setup.epochs):
            orders = torch.from_numpy(np.stack([batch_order(seed, epoch, count) for seed in seeds]))
            for ids in torch.split(subsets.gather(1, orders), setup.batch_size, dim=1):
                logits = vmap(logits_of)(weights, task.images[ids]).flatten(0, 1)
                # The sum of the models' mean losses: each model's gradient is then what it would be alone.
                yield F.cross_entropy(logits, task.labels[ids].flatten(), reduction="sum") / ids.shape[1]

    _minimise(losses(), weights.values(), setup, setup.epochs * -(-count // setup.batch_size))
    with torch.no_grad():
        logits = vmap(logits_of, in_dims=(0, None))(weights, task.images)
        loss, _ = scoring.classification(logits.flatten(0, 1), task.labels.repeat(len(seeds)))
    return logits.argmax(2).numpy(), loss.view(len(seeds), -1).numpy()


def _minimise(losses: Iterable[torch.Tensor], parameters: Iterable[torch.Tensor], setup: Setup, steps: int) -> None:
    """One step for each loss, which is computed once the step before it is done."""
    optimizer = torch.optim.SGD(
        parameters, lr=setup.max_lr, momentum=setup.momentum, weight_decay=setup.weight_decay, nesterov=True
    )
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=setup.max_lr, total_steps=steps)
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
