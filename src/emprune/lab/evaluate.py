"""Evaluate a model on a whole set, sample by sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from emprune.lab.resident import ResidentImages
from emprune.scoring import classification

EVALUATION_BATCH = 2000
"""Samples of a forward pass without gradient."""


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
    images: torch.Tensor | ResidentImages,
    labels: torch.Tensor,
    *,
    forward: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> Evaluation:
    """Run the model in evaluation mode over all images, in order; the mode is put back afterwards.

    Args:
        images: float32, shape [N, C, H, W], on the model's device.
        labels: int64, shape [N], likewise.
        forward: how to get logits [B, classes] from images through the model; None: by calling it.
    """
    was_training = model.training
    model.eval()
    columns: list[list[torch.Tensor]] = [[], [], []]
    for begin in range(0, len(images), EVALUATION_BATCH):
        part = slice(begin, begin + EVALUATION_BATCH)
        logits = (forward or model)(images[part])
        for column, values in zip(columns, (*classification(logits, labels[part]), logits.argmax(1)), strict=True):
            column.append(values)
    model.train(was_training)
    return Evaluation(*(torch.cat(column).cpu().numpy() for column in columns))
