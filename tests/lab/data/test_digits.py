"""The digits: their parts do not overlap."""

import torch

from emprune_lab import data as lab_data


def test_digits_are_split_without_overlap():
    data = lab_data.load("digits")
    assert (len(data), len(data.test_labels), data.images.shape[1:]) == (1197, 600, (1, 8, 8))
    assert data.images.dtype == torch.uint8
    assert data.images.max() == 240
    assert sorted(data.labels.unique().tolist()) == list(range(10))


def test_validation_split_holds_out_training_images():
    whole, split = lab_data.load("digits"), lab_data.load("digits", split="validation")
    assert len(split) + len(split.test_labels) == len(whole)
    parts = torch.cat([split.images, split.test_images]).flatten(1).sum(1).sort().values
    assert torch.equal(parts, whole.images.flatten(1).sum(1).sort().values)
