"""UCI handwritten digits."""

from __future__ import annotations

import gzip
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from emprune.errors import DataError
from emprune_lab.data.images import IMAGES, ImageData

_WHERE = "It comes with scikit-learn: pip install scikit-learn."


@IMAGES.add("digits", preset="digits")
def load_digits(data_dir: str | Path | None) -> ImageData:
    """UCI handwritten digits, 1,797 images of 8×8, as scikit-learn carries them; a third is the test set.

    The split is that of its train_test_split(test_size=600, stratify=labels, random_state=0), kept in a file, and the
    digits are read from its folder: an import of it takes as long as one of torch, in every process that trains.

    Raises:
        DataError: scikit-learn is missing.
    """
    table = _table()
    images = (15 * table[:, :-1]).reshape(-1, 1, 8, 8)  # up to 240
    with (files("emprune_lab.data") / "digits_split.npz").open("rb") as opened, np.load(opened) as split:
        train, test = (split[part].astype(np.int64) for part in ("train", "test"))
    labels = table[:, -1].astype(np.int64)
    arrays = (torch.from_numpy(array[part]) for part in (train, test) for array in (images, labels))
    train_images, train_labels, test_images, test_labels = arrays
    names = tuple(map(str, range(10)))
    return ImageData("digits", train_images, train_labels, train_labels, test_images, test_labels, names)


def _table() -> np.ndarray:
    """uint8, shape [1797, 65]: 64 pixels from 0 to 16, and the label."""
    found = find_spec("sklearn")
    path = Path(str(found.origin)).parent / "datasets" / "data" / "digits.csv.gz" if found else Path("digits.csv.gz")
    try:
        with gzip.open(path, "rt") as file:
            return np.loadtxt(file, delimiter=",", dtype=np.uint8)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}). {_WHERE}") from error
