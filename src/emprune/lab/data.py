"""Data sets of the lab, read from the files in which they are published."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from emprune.errors import ArgumentError, DataError
from emprune.seeding import generator

Split = Literal["test", "validation"]

FASHION_MNIST_DIR = Path("/usr/share/datasets/fashion-mnist")
# Of the content, not of the .gz: Debian packs the published files anew.
_FASHION_MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte.gz": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte.gz": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte.gz": "15d484375f8d13e6eb1aabb0c3f46965",
}
_VALIDATION_SEED = 0


@dataclass(frozen=True)
class ImageData:
    """An image classification set in memory.

    Attributes:
        images, test_images: uint8, shape [N, C, H, W].
        labels, test_labels: int64, shape [N]; ``labels`` are those trained on.
        true_labels: int64, shape [N], before label noise.
        class_names: C names; labels lie in [0, C).
    """

    name: str
    images: torch.Tensor
    labels: torch.Tensor
    true_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


def load(
    name: str, data_dir: str | Path | None = None, *, split: Split = "test", train_size: int | None = None
) -> ImageData:
    """Load a data set by name.

    Args:
        name: one of :data:`DATA_SETS`.
        data_dir: folder with its files; None: the environment's EMPRUNE_DATA, or where Debian installs it.
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
    data = DATA_SETS[name](data_dir or os.environ.get("EMPRUNE_DATA"))
    if split == "validation":
        data = _hold_out(data)
    if train_size is None:
        return data
    if not 1 <= train_size <= len(data):
        raise ArgumentError("train_size", train_size, f"an integer from 1 to {len(data)}")
    kept = slice(None, train_size)
    return replace(data, images=data.images[kept], labels=data.labels[kept], true_labels=data.true_labels[kept])


def with_label_noise(data: ImageData, fraction: float, seed: int) -> ImageData:
    """Replace the labels of round(fraction·N) training samples by another class, uniformly (symmetric noise).

    Args:
        fraction: in [0, 1].
        seed: which samples and which classes; the same for every policy of a seed.
    """
    if not 0 <= fraction <= 1:
        raise ArgumentError("label_noise", fraction, "a number in [0, 1], the fraction of wrong labels")
    rng = generator(seed, 0, "label noise")
    flipped = rng.choice(len(data), round(fraction * len(data)), replace=False)
    labels = data.true_labels.clone()
    shift = torch.from_numpy(rng.integers(1, data.num_classes, len(flipped)))
    labels[flipped] = (labels[flipped] + shift) % data.num_classes
    return replace(data, labels=labels)


def _digits(data_dir: str | Path | None) -> ImageData:
    """UCI handwritten digits, 1,797 images of 8×8, as scikit-learn carries them; a third is the test set."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images = (bunch.images * 15).astype(np.uint8)[:, None]
    split = train_test_split(
        images, bunch.target.astype(np.int64), test_size=600, stratify=bunch.target, random_state=0
    )
    train, test, train_labels, test_labels = map(torch.from_numpy, split)
    return ImageData("digits", train, train_labels, train_labels, test, test_labels, tuple(map(str, range(10))))


def _fashion_mnist(data_dir: str | Path | None) -> ImageData:
    """Fashion-MNIST (Xiao et al. 2017), 60,000 + 10,000 images of 28×28, from its four idx files."""
    folder = _find_folder(data_dir, "fashion-mnist", FASHION_MNIST_DIR)
    arrays = [torch.from_numpy(_read_idx(folder / name, md5)) for name, md5 in _FASHION_MNIST_MD5.items()]
    images, labels, test_images, test_labels = arrays
    labels, test_labels = labels.long(), test_labels.long()
    names = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
    return ImageData("fashion-mnist", images[:, None], labels, labels, test_images[:, None], test_labels, names)


DATA_SETS: dict[str, Callable[[str | Path | None], ImageData]] = {"digits": _digits, "fashion-mnist": _fashion_mnist}
"""Every data set by name."""


def _find_folder(data_dir: str | Path | None, name: str, default: Path) -> Path:
    if data_dir is None:
        return default
    folder = Path(data_dir)
    return folder / name if (folder / name).is_dir() else folder


def _read_idx(path: Path, md5: str) -> np.ndarray:
    """Read a gzipped idx file after checking the md5 of its content."""
    if not path.is_file():
        raise DataError(
            f"{path} is missing. Install Debian's package dataset-fashion-mnist, or put the four "
            "published .gz files into one folder and name it with --data-dir or EMPRUNE_DATA."
        )
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be unpacked ({error}). Get the file again.") from error
    found = hashlib.md5(content).hexdigest()
    if found != md5:
        raise DataError(f"the content of {path} has md5 {found}; that of the published file is {md5}. Get it again.")
    dimensions = content[3]
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()


def _hold_out(data: ImageData) -> ImageData:
    """Replace the test set by a sixth of the training set, drawn once and for all."""
    order = torch.from_numpy(generator(_VALIDATION_SEED, 0, "validation split").permutation(len(data)))
    held, kept = order[: len(data) // 6], order[len(data) // 6 :].sort().values
    return replace(
        data, images=data.images[kept], labels=data.labels[kept], true_labels=data.true_labels[kept],
        test_images=data.images[held], test_labels=data.true_labels[held],
    )  # fmt: skip
