"""Evaluate a model on a whole set, sample by sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from emprune.scoring import classification

EVALUATION_BATCH = 2000
"""Images of a forward pass without gradient."""


class Inputs(Protocol):
    """Inputs on the device: a tensor, or what is made ready batch by batch."""

    def __len__(self) -> int: ...

    def __getitem__(self, which: torch.Tensor | slice, /) -> torch.Tensor:
        """What the model takes of samples given by position: shape [B, ...]."""


@dataclass(frozen=True)
class Evaluation:
    """Per-sample outcome, arrays of shape [N].

    Attributes:
        loss, entropy: float32, nats, without label smoothing.
        predicted: int64, the class with the highest logit.
    """

    loss: NDArray[np.float32]
    entropy: NDArray[np.float32]
    predicted: NDArray[np.int64]


@torch.no_grad()
def evaluate(
    model: nn.Module,
    inputs: Inputs,
    labels: torch.Tensor,
    *,
    forward: Callable[[torch.Tensor], torch.Tensor] | None = None,
    size: int = EVALUATION_BATCH,
) -> Evaluation:
    """Run the model in evaluation mode over all samples, in order; the mode is put back afterwards.

    Args:
        inputs: of N samples, on the model's device; of images float32, shape [N, C, H, W].
        labels: int64, shape [N], likewise.
        forward: how to get logits [B, classes] from inputs through the model; None: by calling it.
        size: samples of a forward pass.
    """
    was_training = model.training
    model.eval()
    columns: list[list[torch.Tensor]] = [[], [], []]
    for begin in range(0, len(inputs), size):
        part = slice(begin, begin + size)
        logits = (forward or model)(inputs[part])
        for column, values in zip(columns, (*classification(logits, labels[part]), logits.argmax(1)), strict=True):
            column.append(values)
    model.train(was_training)
    return Evaluation(*(torch.cat(column).cpu().numpy() for column in columns))
