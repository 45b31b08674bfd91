"""Labelled data: image data sets, one file each, found by being in this folder, and what is done to a training set."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from emprune_lab.data.images import IMAGES, ImageData
from emprune_lab.data.labelled import LabelledData, Split, as_trained, load_from, with_imbalance, with_label_noise

__all__ = [
    "IMAGES", "ImageData", "LabelledData", "Split", "as_trained", "load", "load_from", "with_imbalance",
    "with_label_noise",
]  # fmt: skip

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def load(
    name: str, data_dir: str | Path | None = None, *, split: Split = "test", train_size: int | None = None
) -> ImageData:
    """Load an image data set, one of :data:`IMAGES`; see :func:`emprune_lab.data.labelled.load_from`."""
    return load_from(IMAGES, name, data_dir, split=split, train_size=train_size)
