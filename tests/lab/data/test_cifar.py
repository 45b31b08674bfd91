"""CIFAR: the official files, byte for byte as Python 2 pickled them, and nothing that a pickle could run."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from made_cifar import images, put, put_cifar100, py2

from emprune.errors import DataError
from emprune_lab import data as lab_data
from emprune_lab.data import cifar


@pytest.fixture
def cifar100(tmp_path, monkeypatch):
    return put_cifar100(tmp_path, monkeypatch)


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    put(folder, monkeypatch, "batches.meta", b"\x80\x02" + py2({"label_names": ["airplane", "bird"]}) + b".")
    for number, file in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        content = {"batch_label": file, "labels": [number % 2, 1], "data": images(10 * number, 2)}
        put(folder, monkeypatch, file, b"\x80\x02" + py2(content) + b".")
    return folder


@pytest.mark.parametrize("given", ["itself", "parent", "environment"])
def test_cifar100_has_fine_labels_and_planes_of_rows(cifar100, given, monkeypatch):
    monkeypatch.setenv("EMPRUNE_DATA", str(cifar100.parent if given == "environment" else "/nowhere"))
    data = lab_data.load("cifar100", {"itself": cifar100, "parent": cifar100.parent, "environment": None}[given])
    assert (data.name, data.class_names, len(data)) == ("cifar100", ("apple", "baby", "bear"), 3)
    assert data.labels.tolist() == data.true_labels.tolist() == [2, 0, 1]
    assert data.test_labels.tolist() == [1, 2]
    assert (data.images.dtype, data.labels.dtype, data.test_labels.dtype) == (torch.uint8, torch.int64, torch.int64)
    assert (data.images.shape, data.test_images.shape) == ((3, 3, 32, 32), (2, 3, 32, 32))
    assert data.images[:, 0, 0, 0].tolist() == [10, 11, 12]
    assert data.test_images[:, 2, 31, 31].tolist() == [20, 21]
    assert (data.images == 255).nonzero().tolist() == [[i, 1, 1, 0] for i in range(3)]


def test_cifar10_puts_its_batches_one_after_another(cifar10):
    data = lab_data.load("cifar10", cifar10)
    assert (data.name, data.class_names) == ("cifar10", ("airplane", "bird"))
    assert data.labels.tolist() == [0, 1, 1, 1, 0, 1, 1, 1, 0, 1]
    assert data.images[:, 0, 0, 0].tolist() == [0, 1, 10, 11, 20, 21, 30, 31, 40, 41]
    assert data.test_images[:, 0, 0, 0].tolist() == [50, 51]


@pytest.mark.parametrize("file", ["meta", "train", "test"])
def test_missing_file_says_where_to_put_it(cifar100, file):
    (cifar100 / file).unlink()
    with pytest.raises(DataError, match=rf"cifar-100-python/{file} is missing.*cifar-100-python\.tar\.gz.*--data-dir"):
        lab_data.load("cifar100", cifar100)


def test_missing_folder_is_the_same_one_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("EMPRUNE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    for folder in (None, tmp_path):
        with pytest.raises(DataError, match=r"batches\.meta is missing.*cifar-10-python\.tar\.gz.*EMPRUNE_DATA"):
            lab_data.load("cifar10", folder)


def test_nothing_is_unpickled_before_the_sum_is_right(cifar100, monkeypatch):
    path = cifar100 / "train"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    unpickled = []
    monkeypatch.setattr(cifar, "_ArrayUnpickler", lambda file, **_: unpickled.append(file) or pickle.Unpickler(file))
    with pytest.raises(DataError, match=r"cifar-100-python/train has md5 [0-9a-f]{32}; .*[0-9a-f]{32}\. Get it again"):
        cifar._unpickle(path, cifar.CIFAR100)
    assert not unpickled


class Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_cannot_call_anything(cifar100, monkeypatch, tmp_path, protocol):
    put(cifar100, monkeypatch, "train", pickle.dumps({"data": Harm(tmp_path / "touched")}, protocol))
    with pytest.raises(DataError, match=r"train cannot be unpickled \(it asks for .*no published file"):
        lab_data.load("cifar100", cifar100)
    assert not (tmp_path / "touched").exists()


def _real(folder):
    root = os.environ.get("EMPRUNE_DATA")
    return root is not None and any((Path(root) / part / "test").is_file() for part in (folder, "."))


@pytest.mark.skipif(not _real("cifar-100-python"), reason="EMPRUNE_DATA has no CIFAR-100")
def test_the_published_cifar100():
    data = lab_data.load("cifar100")
    assert (data.images.shape, data.test_images.shape) == ((50000, 3, 32, 32), (10000, 3, 32, 32))
    assert data.labels.bincount().tolist() == [500] * 100
    assert data.test_labels.bincount().tolist() == [100] * 100
    assert data.class_names[data.labels[0]] == "cattle"
    mean = data.images.double().mean((0, 2, 3)) / 255
    assert torch.allclose(mean, torch.tensor([0.5071, 0.4865, 0.4409], dtype=torch.float64), atol=1e-4)
