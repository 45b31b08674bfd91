"""What the lab trains, behind one protocol: images, sentences, windows of text. Pruning sees ids and scores only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


class Scores(NamedTuple):
    """What one forward pass says of each sample of a batch.

    Attributes:
        loss: float32, shape [B], nats; with gradient unless gradients are off.
        memory: float32, shape [B], without gradient.
        right: shape [B], bool, or float32 in [0, 1] where a sample makes several predictions.
        extra: what else the policy reads, by name.
        logits, labels: shapes [B, C] and [B], of a classification; None for a task that is none.
    """

    loss: torch.Tensor
    memory: torch.Tensor
    right: torch.Tensor
    extra: dict[str, torch.Tensor] = {}
    logits: torch.Tensor | None = None
    labels: torch.Tensor | None = None


@dataclass(frozen=True)
class TrainingSet:
    """The finished model on every training sample, nothing augmented or dropped; arrays of shape [N].

    Attributes:
        loss, entropy: float32, nats, without label smoothing.
        right: bool, or float32 in [0, 1], against what was trained on.
        right_true: against the true labels.
        mislabelled: bool, whether the two differ.
    """

    loss: NDArray[np.float32]
    entropy: NDArray[np.float32]
    right: NDArray[Any]
    right_true: NDArray[Any]
    mislabelled: NDArray[np.bool_]


class Data(Protocol):
    """A training set and what belongs to it; only its task knows more. Its length is the number of training samples."""

    def __len__(self) -> int: ...


class Task(Protocol):
    """A model and the data it is trained on.

    A batch is a named tuple that the task makes of ids; the training loop hands it back and looks at nothing in it. All
    randomness of a step follows from the run's seed, ``epoch`` and ``position``, so that a run that goes on
    from a checkpoint repeats it.

    Attributes:
        model: its parameters are trained, its state_dict is saved.
        num_samples: N, the length of its data; ids lie in [0, N).
        metric: the headline measure, a key of :data:`emprune_lab.records.metrics.METRICS` and of
            :meth:`evaluate_test`.
        evaluation_batch: samples of a forward pass without gradient.
    """

    model: nn.Module
    num_samples: int
    metric: str
    evaluation_batch: int

    def batch(self, ids: torch.Tensor, epoch: int, position: int) -> Any:
        """Inputs of a training step, augmented.

        Args:
            ids: int64, shape [B], on the CPU.
            epoch: from 0.
            position: of the batch's first sample in the epoch.
        """

    def plain_batch(self, ids: torch.Tensor) -> Any:
        """Inputs of a forward pass that only scores: neither augmented nor dropped, whatever the model's mode."""

    def part(self, batch: Any, positions: torch.Tensor) -> Any:
        """Some of a batch's samples, at positions int64 [b] on the loss's device."""
        return batch._make(values[positions] if isinstance(values, torch.Tensor) else values for values in batch)

    def forward(self, batch: Any, inputs: tuple[str, ...] = ()) -> Scores:
        """Forward a batch through the model.

        Args:
            inputs: names of what the policy reads; loss and memory term are always there.

        Raises:
            ArgumentError: the task has no such value.
        """

    def evaluate_test(self) -> dict[str, float]:
        """Every measure of the set held out, by name."""

    def after_epoch(self) -> dict[str, float]:
        """What is measured after each epoch, for the history; little or nothing, for it takes time."""
        return {}

    def evaluate_train(self) -> TrainingSet:
        """The whole training set, sample by sample."""
