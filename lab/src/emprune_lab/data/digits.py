"""UCI handwritten digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from emprune_lab.data.images import IMAGES, ImageData


@IMAGES.add("digits", preset="digits")
def load_digits(data_dir: str | Path | None) -> ImageData:
    """UCI handwritten digits, 1,797 images of 8×8, as scikit-learn carries them; a third is the test set."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    bunch = datasets.load_digits()
    images = (bunch.images * 15).astype(np.uint8)[:, None]
    split = train_test_split(
        images, bunch.target.astype(np.int64), test_size=600, stratify=bunch.target, random_state=0
    )
    train, test, train_labels, test_labels = map(torch.from_numpy, split)
    return ImageData("digits", train, train_labels, train_labels, test, test_labels, tuple(map(str, range(10))))
