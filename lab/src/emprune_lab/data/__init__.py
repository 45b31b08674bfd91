"""Data sets of the lab, read from the files in which they are published, and what is done to their training part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emprune.errors import ArgumentError
from emprune_lab.data.cifar import load_cifar10, load_cifar100
from emprune_lab.data.digits import load_digits
from emprune_lab.data.fashion_mnist import FASHION_MNIST_DIR, load_fashion_mnist
from emprune_lab.data.glue import LOADERS as GLUE
from emprune_lab.data.images import ImageData
from emprune_lab.data.labelled import (
    LabelledData,
    Split,
    as_trained,
    first_samples,
    hold_out,
    with_imbalance,
    with_label_noise,
)
from emprune_lab.data.sentences import SentenceData

__all__ = [
    "DATA_SETS", "FASHION_MNIST_DIR", "GLUE", "ImageData", "LabelledData", "SentenceData", "Split", "as_trained",
    "load", "with_imbalance", "with_label_noise",
]  # fmt: skip

DATA_SETS: dict[str, Callable[[str | Path | None], LabelledData]] = {
    "digits": load_digits,
    "fashion-mnist": load_fashion_mnist,
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    **GLUE,
}
"""Every labelled data set by name."""


def load(
    name: str, data_dir: str | Path | None = None, *, split: Split = "test", train_size: int | None = None
) -> LabelledData:
    """Load a labelled data set by name.

    Args:
        name: one of :data:`DATA_SETS`.
        data_dir: the folder with its files, or that folder's parent; None: the environment's EMPRUNE_DATA,
            else where Debian installs it.
        split: what to evaluate on: "test", or "validation", a part of the published training set that is
            then never trained on, to choose settings by.
        train_size: train on that many samples, the first ones of the published order; None: all.

    Raises:
        ArgumentError: unknown name, split or size.
        DataError: a file is missing or is not the published one.
    """
    if name not in DATA_SETS:
        raise ArgumentError("data", name, f"one of {', '.join(DATA_SETS)}")
    if split not in ("test", "validation"):
        raise ArgumentError("split", split, "'test' or 'validation'")
    data = DATA_SETS[name](data_dir)
    if split == "validation":
        data = hold_out(data)
    return data if train_size is None else first_samples(data, train_size)
