"""Fashion-MNIST: the published files or one clear error."""

import gzip
import hashlib
import struct

import pytest

from emprune.errors import DataError
from emprune_lab import data as lab_data
from emprune_lab.data import fashion_mnist


def idx_file(shape, payload):
    return gzip.compress(struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + payload)


@pytest.fixture
def fashion_folder(tmp_path, monkeypatch):
    """A folder in the published layout, with 12 + 4 images of 4×4, and the checksums that belong to it."""
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    sums = {}
    for (name, _), count in zip(fashion_mnist.MD5.items(), (12, 12, 4, 4), strict=True):
        shape = (count, 4, 4) if "images" in name else (count,)
        size = count * 16 if "images" in name else count
        packed = idx_file(shape, bytes(i % 10 for i in range(size)))
        (folder / name).write_bytes(packed)
        sums[name] = hashlib.md5(gzip.decompress(packed)).hexdigest()
    monkeypatch.setattr(fashion_mnist, "MD5", sums)
    return folder


def test_idx_files_are_read_in_order(fashion_folder):
    data = lab_data.load("fashion-mnist", fashion_folder.parent)
    assert data.images.shape == (12, 1, 4, 4)
    assert data.images.flatten()[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert data.labels.tolist() == [i % 10 for i in range(12)]


def test_folder_from_environment(fashion_folder, monkeypatch):
    monkeypatch.setenv("EMPRUNE_DATA", str(fashion_folder.parent))
    assert len(lab_data.load("fashion-mnist")) == 12


def test_a_folder_of_the_environment_without_it_does_not_hide_the_installed_one(fashion_folder, tmp_path, monkeypatch):
    other = tmp_path / "others"
    other.mkdir()
    monkeypatch.setattr(fashion_mnist, "FASHION_MNIST_DIR", fashion_folder)
    monkeypatch.setenv("EMPRUNE_DATA", str(other))
    assert len(lab_data.load("fashion-mnist")) == 12
    with pytest.raises(DataError, match=r"others/train-images.* is missing"):
        lab_data.load("fashion-mnist", other)


def test_missing_file_says_where_to_get_it(fashion_folder):
    (fashion_folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz is missing.*dataset-fashion-mnist.*--data-dir"):
        lab_data.load("fashion-mnist", fashion_folder)


def test_wrong_checksum_names_file_and_both_sums(fashion_folder):
    (fashion_folder / "train-labels-idx1-ubyte.gz").write_bytes(idx_file((12,), bytes(12)))
    with pytest.raises(DataError, match=r"train-labels.*has md5 [0-9a-f]{32}; .*[0-9a-f]{32}"):
        lab_data.load("fashion-mnist", fashion_folder)


def test_truncated_file_is_named(fashion_folder):
    path = fashion_folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"train-images.*cannot be unpacked"):
        lab_data.load("fashion-mnist", fashion_folder)
