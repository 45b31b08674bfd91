"""The digits are scikit-learn's, also their split; their parts do not overlap."""

import torch
from sklearn import datasets
from sklearn.model_selection import train_test_split

from emprune_lab import data as lab_data


def test_digits_are_split_without_overlap():
    data = lab_data.load("digits")
    assert (len(data), len(data.test_labels), data.images.shape[1:]) == (1197, 600, (1, 8, 8))
    assert data.images.dtype == torch.uint8
    assert data.images.max() == 240
    assert sorted(data.labels.unique().tolist()) == list(range(10))


def test_digits_and_their_split_are_those_of_scikit_learn():
    bunch, data = datasets.load_digits(), lab_data.load("digits")
    train, test, train_labels, test_labels = train_test_split(
        bunch.images, bunch.target, test_size=600, stratify=bunch.target, random_state=0
    )
    for found, expected in ((data.images, train), (data.test_images, test)):
        assert torch.equal(found[:, 0] / 15.0, torch.from_numpy(expected).float())
    for found, expected in ((data.labels, train_labels), (data.test_labels, test_labels)):
        assert torch.equal(found, torch.from_numpy(expected))


def test_validation_split_holds_out_training_images():
    whole, split = lab_data.load("digits"), lab_data.load("digits", split="validation")
    assert len(split) + len(split.test_labels) == len(whole)
    parts = torch.cat([split.images, split.test_images]).flatten(1).sum(1).sort().values
    assert torch.equal(parts, whole.images.flatten(1).sum(1).sort().values)
