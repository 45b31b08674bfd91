"""The ResNets are those of the papers: parameter counts, shapes, features before the head."""

import pytest
import torch

from emprune_lab.networks import models


@pytest.mark.parametrize(
    ("name", "parameters"),
    # 11.17 and 23.52 million with ten classes (He et al.'s networks with the CIFAR stem), counted by hand for 100.
    [("resnet18", 11_220_132), ("resnet50", 23_705_252)],
)
def test_parameter_counts(name, parameters):
    model = models.build(name, 3, 32, 100, seed=0)
    assert sum(weight.numel() for weight in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("name", "width", "side"), [("resnet10-thin", 256, 2), ("resnet18", 512, 4), ("resnet50", 2048, 4)]
)
def test_features_and_maps(name, width, side):
    model = models.build(name, 3, 32, 7, seed=0).eval()
    images = torch.randn(2, 3, 32, 32)
    assert model[:-3](images).shape == (2, width, side, side)
    assert model[:-1](images).shape == (2, width)
    assert model(images).shape == (2, 7)
    assert torch.equal(model[-1](model[:-1](images)), model(images))


def test_weights_come_from_the_seed_alone():
    one, same, other = (models.build("resnet10-thin", 3, 32, 10, seed) for seed in (0, 0, 1))
    assert torch.equal(one[0].weight, same[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)
