"""Data sets: published files or one clear error."""

import gzip
import hashlib
import struct

import pytest
import torch

from emprune.errors import ArgumentError, DataError
from emprune_lab import data as lab_data
from emprune_lab.cli import main
from emprune_lab.data import IMAGES, ImageData, fashion_mnist
from emprune_lab.records.results import load_result


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


def test_digits_are_split_without_overlap():
    data = lab_data.load("digits")
    assert (len(data), len(data.test_labels), data.images.shape[1:]) == (1197, 600, (1, 8, 8))
    assert data.images.dtype == torch.uint8
    assert data.images.max() == 240
    assert sorted(data.labels.unique().tolist()) == list(range(10))


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


def test_validation_split_holds_out_training_images():
    whole, split = lab_data.load("digits"), lab_data.load("digits", split="validation")
    assert len(split) + len(split.test_labels) == len(whole)
    parts = torch.cat([split.images, split.test_images]).flatten(1).sum(1).sort().values
    assert torch.equal(parts, whole.images.flatten(1).sum(1).sort().values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "imagenet"}, "data is 'imagenet'.*digits, fashion-mnist"),
        ({"name": "digits", "split": "train"}, "split is 'train'"),
        ({"name": "digits", "train_size": 1198}, "train_size is 1198.*1 to 1197"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        lab_data.load(**arguments)


def test_label_noise_flips_the_exact_number_to_other_classes():
    data = lab_data.load("digits")
    noisy = lab_data.with_label_noise(data, 0.2, seed=3)
    assert int((noisy.labels != data.labels).sum()) == round(0.2 * len(data))
    assert torch.equal(noisy.true_labels, data.labels)
    assert noisy.labels.min() >= 0
    assert noisy.labels.max() <= 9
    assert not torch.equal(noisy.labels, lab_data.with_label_noise(data, 0.2, seed=4).labels)
    # Published results rest on these very draws.
    assert (noisy.labels != data.labels).nonzero().flatten()[:6].tolist() == [16, 17, 23, 32, 39, 55]
    assert noisy.labels[noisy.labels != data.labels][:6].tolist() == [1, 5, 3, 7, 0, 3]
    with pytest.raises(ArgumentError, match=r"label_noise is 1\.5"):
        lab_data.with_label_noise(data, 1.5, seed=0)


@pytest.fixture
def stripes():
    """A data set as a file of data/ would add it: two classes, horizontal and vertical stripes."""

    @IMAGES.add("stripes", preset="digits")
    def read(data_dir):
        labels = torch.arange(80) % 2
        one = torch.tensor([0, 255] * 4, dtype=torch.uint8).expand(8, 8)
        images = torch.stack([one if label else one.T for label in labels])[:, None]
        return ImageData("stripes", images, labels, labels, images[:20], labels[:20], ("across", "down"))

    yield
    del IMAGES["stripes"]


def test_a_new_data_set_is_trained_by_its_name_with_its_preset(stripes, tmp_path, capsys):
    command = ["train", "--data", "stripes", "--epochs", "2", "--prune-rate", "0.5", "--out", str(tmp_path)]
    assert main(command) == 0
    result = load_result(next((tmp_path / "runs").iterdir()))
    assert (result.data, result.model, result.num_samples, result.accuracy) == ("stripes", "mlp", 80, 1.0)
    assert result.samples_backward == 2 * 40
    capsys.readouterr()


def test_no_data_set_replaces_another(stripes):
    with pytest.raises(ArgumentError, match="data set is 'stripes'; allowed: another name than"):
        IMAGES.add("stripes", preset="digits")(lambda data_dir: None)
