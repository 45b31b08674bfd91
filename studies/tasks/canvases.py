"""Canvases of real digits: which digits they show is a task of several labels, and where, one of dense prediction."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

TRAIN_DIGITS = 1200
"""The first of scikit-learn's 1797 digits; canvases for evaluation are made of the others."""

SIDE, DIGIT, MOST = 16, 8, 3
INK = 4.0
"""Of 16 grey values: pixels of a digit from here on carry its class."""


class Canvases(NamedTuple):
    """Made of one to three digits each, at random places; a later one lies on top.

    Attributes:
        images: float32, shape [N, 1, 16, 16], in [-1, 1].
        present: float32, shape [N, 10], 1 for each digit that was drawn.
        masks: int64, shape [N, 16, 16], 0 for the background, digit + 1 for ink.
    """

    images: torch.Tensor
    present: torch.Tensor
    masks: torch.Tensor


def canvases(number: int, seed: int, *, train: bool) -> Canvases:
    """Draw canvases; the same for the same arguments."""
    data = load_digits()
    chosen = slice(None, TRAIN_DIGITS) if train else slice(TRAIN_DIGITS, None)
    digits, classes = data.images[chosen], data.target[chosen]
    rng = np.random.default_rng([seed, train])
    images = np.zeros((number, SIDE, SIDE), dtype=np.float32)
    masks = np.zeros((number, SIDE, SIDE), dtype=np.int64)
    present = np.zeros((number, 10), dtype=np.float32)
    for canvas in range(number):
        for digit in rng.integers(0, len(digits), rng.integers(1, MOST + 1)):
            y, x = rng.integers(0, SIDE - DIGIT + 1, 2)
            _paste(images[canvas, y : y + DIGIT, x : x + DIGIT], masks[canvas, y : y + DIGIT, x : x + DIGIT],
                   digits[digit], int(classes[digit]))  # fmt: skip
            present[canvas, classes[digit]] = 1
    scaled = torch.from_numpy(images)[:, None] / 8 - 1
    return Canvases(scaled, torch.from_numpy(present), torch.from_numpy(masks))


def _paste(image: NDArray[np.float32], mask: NDArray[np.int64], digit: NDArray[np.float64], label: int) -> None:
    ink = digit >= INK
    image[ink] = digit[ink]
    mask[ink] = label + 1
