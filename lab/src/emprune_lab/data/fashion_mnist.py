"""Fashion-MNIST, from the four idx files that it is published in."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import torch

from emprune.errors import DataError
from emprune_lab.data.files import check_md5, find_folder, read_file
from emprune_lab.data.images import IMAGES, ImageData

FASHION_MNIST_DIR = Path("/usr/share/datasets/fashion-mnist")
# Of the content, not of the .gz: Debian packs the published files anew.
MD5 = {
    "train-images-idx3-ubyte.gz": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte.gz": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte.gz": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte.gz": "15d484375f8d13e6eb1aabb0c3f46965",
}
_WHERE = (
    "Install Debian's package dataset-fashion-mnist, or put the four published .gz files into one folder "
    "and name it with --data-dir or EMPRUNE_DATA."
)


@IMAGES.add("fashion-mnist", preset="fashion-mnist")
def load_fashion_mnist(data_dir: str | Path | None) -> ImageData:
    """Fashion-MNIST (Xiao et al. 2017), 60,000 + 10,000 images of 28×28, from its four idx files."""
    folder = find_folder(data_dir, "fashion-mnist", FASHION_MNIST_DIR)
    arrays = [torch.from_numpy(_read_idx(folder / name, md5)) for name, md5 in MD5.items()]
    images, labels, test_images, test_labels = arrays
    labels, test_labels = labels.long(), test_labels.long()
    names = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
    return ImageData("fashion-mnist", images[:, None], labels, labels, test_images[:, None], test_labels, names)


def _read_idx(path: Path, md5: str) -> np.ndarray:
    """Read a gzipped idx file after checking the md5 of its content."""
    packed = read_file(path, _WHERE)
    try:
        content = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be unpacked ({error}). Get the file again.") from error
    check_md5(content, md5, path)
    dimensions = content[3]
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()
