"""Data sets by name: bad arguments, and a set that is added by one file."""

import pytest
import torch

from emprune.errors import ArgumentError
from emprune_lab import data as lab_data
from emprune_lab.cli import main
from emprune_lab.data import IMAGES, ImageData
from emprune_lab.records.results import load_result


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
