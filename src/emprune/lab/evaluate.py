"""Evaluate a model on a whole set, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from emprune.scoring import classification

_BATCH_SIZE = 2000


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
def evaluate(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Evaluation:
    """Run the model in evaluation mode over all images, in order; the mode is put back afterwards.

    Args:
        images: float32, shape [N, C, H, W], on the model's device.
        labels: int64, shape [N], likewise.
    """
    was_training = model.training
    model.eval()
    columns: list[list[torch.Tensor]] = [[], [], []]
    for image_batch, label_batch in zip(
        torch.split(images, _BATCH_SIZE), torch.split(labels, _BATCH_SIZE), strict=True
    ):
        logits = model(image_batch)
        for column, values in zip(columns, (*classification(logits, label_batch), logits.argmax(1)), strict=True):
            column.append(values)
    model.train(was_training)
    return Evaluation(*(torch.cat(column).cpu().numpy() for column in columns))
