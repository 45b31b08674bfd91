"""CIFAR-10 and CIFAR-100, from the official python folders."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emprune.errors import DataError
from emprune_lab.data.files import check_md5, find_folder, read_file
from emprune_lab.data.images import IMAGES, ImageData


@dataclass(frozen=True)
class Layout:
    """Where the official folder keeps what.

    Attributes:
        folder, archive: names as published.
        train, test: files in their order.
        meta: the file of class names.
        labels, names: keys in the pickled dictionaries.
    """

    folder: str
    archive: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    labels: bytes
    names: bytes


CIFAR10 = Layout(
    "cifar-10-batches-py", "cifar-10-python.tar.gz", tuple(f"data_batch_{i}" for i in range(1, 6)), ("test_batch",),
    "batches.meta", b"labels", b"label_names",
)  # fmt: skip
CIFAR100 = Layout(
    "cifar-100-python", "cifar-100-python.tar.gz", ("train",), ("test",), "meta", b"fine_labels", b"fine_label_names"
)
MD5 = {
    "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
    "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
    "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
    "cifar-10-batches-py/batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    "cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d",
    "cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "cifar-100-python/meta": "7973b15100ade9c7d40fb424638fde48",
}


@IMAGES.add("cifar10", preset="cpu")
def load_cifar10(data_dir: str | Path | None) -> ImageData:
    """CIFAR-10 (Krizhevsky 2009), 50,000 + 10,000 images of 3×32×32 in 10 classes."""
    return _read("cifar10", CIFAR10, data_dir)


@IMAGES.add("cifar100", preset="cpu")
def load_cifar100(data_dir: str | Path | None) -> ImageData:
    """CIFAR-100 (Krizhevsky 2009), 50,000 + 10,000 images of 3×32×32 in 100 classes, the fine labels."""
    return _read("cifar100", CIFAR100, data_dir)


def _read(name: str, layout: Layout, data_dir: str | Path | None) -> ImageData:
    folder = find_folder(data_dir, layout.folder)
    names = tuple(entry.decode() for entry in _unpickle(folder / layout.meta, layout)[layout.names])
    images, labels = _split(folder, layout, layout.train)
    test_images, test_labels = _split(folder, layout, layout.test)
    return ImageData(name, images, labels, labels, test_images, test_labels, names)


def _split(folder: Path, layout: Layout, files: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Images, uint8 [N, 3, 32, 32], and labels, int64 [N], of several files one after another."""
    parts = [_unpickle(folder / file, layout) for file in files]
    arrays = [part[b"data"] for part in parts]
    # Copying the 150 MB of CIFAR-100's one file would take as long as checking it.
    images = (arrays[0] if len(arrays) == 1 else np.concatenate(arrays)).reshape(-1, 3, 32, 32)
    labels = np.concatenate([np.asarray(part[layout.labels], dtype=np.int64) for part in parts])
    return torch.from_numpy(images), torch.from_numpy(labels)


def _unpickle(path: Path, layout: Layout) -> dict[bytes, Any]:
    """The dictionary in a file, read only after its md5 has been found to be the published one."""
    where = (
        f"Unpack the published {layout.archive}, and name the folder that it unpacks to, or that folder's parent, "
        "with --data-dir or EMPRUNE_DATA."
    )
    content = read_file(path, where)
    check_md5(content, MD5[f"{layout.folder}/{path.name}"], path)
    try:
        entries: dict[bytes, Any] = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    except pickle.UnpicklingError as error:
        raise DataError(f"{path} cannot be unpickled ({error}). Get the file again.") from error
    return entries


class _ArrayUnpickler(pickle.Unpickler):
    """Builds containers, strings, numbers and numpy arrays, and calls nothing else, whatever the file asks for."""

    # The files name numpy as it was laid out when they were written; importing that today warns or fails.
    _ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}, which no published file does")
        return self._ALLOWED[module_name, global_name]
