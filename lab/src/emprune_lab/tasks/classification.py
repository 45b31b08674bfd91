"""Classification: one label a sample, inputs resident on the device, a Sequential model with a linear head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

import emprune
from emprune_lab.data import LabelledData, as_trained, load_from
from emprune_lab.data.labelled import Data
from emprune_lab.data.sets import DataSets
from emprune_lab.networks.evaluate import Evaluation, Inputs, evaluate
from emprune_lab.networks.network import Network
from emprune_lab.records.metrics import Metric
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks.base import Scores, Task, TrainingSet

ACCURACY = Metric("accuracy", "accuracy")


def load(sets: DataSets[Data], spec: RunSpec) -> Data:
    """The labelled set that a spec trains on, read from its files, unbalanced and mislabelled as it says."""
    loaded = load_from(sets, spec.data, spec.data_dir, split=spec.split, train_size=spec.recipe.train_size)
    return as_trained(loaded, imbalance=spec.imbalance, label_noise=spec.label_noise, seed=spec.seed)


class LabelledBatch(NamedTuple):
    """Inputs [B, ...] as the model takes them, labels int64 [B], and the seed of what the model draws, if any."""

    inputs: torch.Tensor
    labels: torch.Tensor
    seed: int | None = None


Augment = Callable[[torch.Tensor, int, int], torch.Tensor]
"""(inputs, epoch, position) → inputs."""
Measures = Callable[[np.ndarray, np.ndarray], dict[str, float]]
"""(labels, predicted), both int64 [N] → measures by name."""


class ClassificationTask(Task):
    """A network and a labelled set, all on one device; see :class:`emprune_lab.tasks.base.Task`.

    Args:
        data: imbalance and label noise included.
        network: takes the resident inputs.
        inputs, test_inputs: of the set, resident.
        label_smoothing: of the training loss.
        augment: of training inputs; None: none.
        step_seed: (epoch, position) → seed of what the model draws in a step; None where it draws nothing.
        metric: headline measure.
        measures: all of them.
        evaluation_batch: samples of a forward pass without gradient.
        per_sample_gradients: whether torch.func can take the model's gradient sample by sample.

    Attributes:
        model: the network's, its last module the linear head.
        labels: int64, shape [N], those trained on, on the device.
    """

    model: nn.Sequential

    def __init__(
        self,
        data: LabelledData,
        network: Network,
        inputs: Inputs,
        test_inputs: Callable[[], Inputs],
        *,
        evaluation_batch: int,
        label_smoothing: float = 0.0,
        augment: Augment | None = None,
        step_seed: Callable[[int, int], int] | None = None,
        metric: str = "accuracy",
        per_sample_gradients: bool = True,
        measures: Measures = lambda labels, predicted: {"accuracy": float(np.mean(predicted == labels))},
    ) -> None:
        self.data, self.network, self.inputs, self.metric = data, network, inputs, metric
        self.model, self.num_samples = network.model, len(data)
        self.labels = data.labels.to(network.device)
        self.evaluation_batch, self.per_sample_gradients = evaluation_batch, per_sample_gradients
        self._test_inputs, self._measures, self._smoothing = test_inputs, measures, label_smoothing
        self._augment, self._step_seed = augment, step_seed

    def batch(self, ids: torch.Tensor, epoch: int, position: int) -> LabelledBatch:
        """Inputs of a training step, augmented; see :class:`emprune_lab.tasks.base.Task`."""
        inputs = self.inputs[ids]
        if self._augment is not None:
            inputs = self._augment(inputs, epoch, position)
        seed = None if self._step_seed is None else self._step_seed(epoch, position)
        return LabelledBatch(inputs, self.labels[ids], seed)

    def plain_batch(self, ids: torch.Tensor) -> LabelledBatch:
        """Likewise, not augmented."""
        return LabelledBatch(self.inputs[ids], self.labels[ids])

    def held_out_batch(self, size: int, epoch: int) -> LabelledBatch:
        """The first samples held out, augmented and dropped as those of a training step of an epoch are."""
        inputs = self._test_inputs()[torch.arange(min(size, len(self.data.test_labels)))]
        if self._augment is not None:
            inputs = self._augment(inputs, epoch, 0)
        seed = None if self._step_seed is None else self._step_seed(epoch, 0)
        return LabelledBatch(inputs, self.data.test_labels[: len(inputs)].to(self.network.device), seed)

    def forward(self, batch: LabelledBatch, inputs: tuple[str, ...] = ()) -> Scores:
        """Forward a batch."""
        hidden, logits = self.network.forward(batch.inputs, batch.seed)
        loss, memory = emprune.scoring.classification(logits, batch.labels, label_smoothing=self._smoothing)
        extra = {}
        if "confidence" in inputs:
            extra["confidence"] = emprune.scoring.confidence(logits, batch.labels)
        if "gradient_products" in inputs:
            extra["gradient_products"] = emprune.scoring.gradient_products(logits, batch.labels, hidden)
        return Scores(loss, memory, logits.argmax(1) == batch.labels, extra, logits, batch.labels)

    def evaluate_test(self) -> dict[str, float]:
        """The measures on the samples held out."""
        found = self._evaluate(self._test_inputs(), self.data.test_labels.to(self.network.device))
        return self._measures(self.data.test_labels.numpy(), found.predicted)

    def evaluate_train(self) -> TrainingSet:
        """The whole training set."""
        found, labels, true = self._evaluate(self.inputs, self.labels), self.data.labels, self.data.true_labels
        return TrainingSet(
            found.loss, found.entropy, found.predicted == labels.numpy(), found.predicted == true.numpy(),
            (labels != true).numpy(),
        )  # fmt: skip

    def in_order(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(inputs, labels) of all training samples in the order of their ids, not augmented."""
        for begin in range(0, len(self.inputs), self.evaluation_batch):
            part = slice(begin, begin + self.evaluation_batch)
            yield self.inputs[part], self.labels[part]

    def _evaluate(self, inputs: Inputs, labels: torch.Tensor) -> Evaluation:
        return evaluate(
            self.model, inputs, labels, forward=lambda batch: self.network.forward(batch)[1], size=self.evaluation_batch
        )  # fmt: skip
