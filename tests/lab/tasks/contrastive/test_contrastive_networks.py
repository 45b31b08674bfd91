"""Encoder, projector and the copy that follows: shapes, seeds, the moving average, what gets gradients."""

import pytest
import torch

from emprune.errors import ArgumentError
from emprune_lab.networks import models
from emprune_lab.tasks.contrastive.methods import MoCo, follow
from emprune_lab.tasks.contrastive.networks import encoder_and_projector, stages
from emprune_lab.tasks.contrastive.settings import Contrastive

WIDTHS = {"mlp": 128, "cnn": 128, "resnet8-slim": 64, "resnet10-slim": 128, "resnet10-thin": 256}


def network(seed=0, name="resnet8-slim"):
    return encoder_and_projector(name, 1, 12, seed, width_out=16)


@pytest.mark.parametrize(("name", "width"), WIDTHS.items())
def test_hidden_features_are_the_model_s_and_projections_come_from_them(name, width):
    online = network(name=name).eval()
    images = torch.randn(3, 1, 12, 12)
    hidden, projected = online(images)
    assert (hidden.shape, projected.shape) == ((3, width), (3, 16))
    assert torch.equal(hidden, models.build(name, 1, 12, 5, seed=0).eval()[:-1](images))
    assert torch.equal(projected, online.projector(hidden))


def test_the_slim_encoders_are_a_quarter_as_wide_as_a_resnet():
    def stage(before, width):
        shortcut = before * width + 2 * width if before != width else 0
        return 9 * width * (before + width) + 4 * width + shortcut

    eight = (9 * 16 + 2 * 16) + stage(16, 16) + stage(16, 32) + stage(32, 64)
    for name, expected, width, side in (
        ("resnet8-slim", eight, 64, 4),
        ("resnet10-slim", eight + stage(64, 128), 128, 2),
    ):
        encoder = encoder_and_projector(name, 1, 28, seed=0).encoder
        assert sum(weight.numel() for weight in encoder.parameters()) == expected
        assert encoder[:-2](torch.randn(1, 1, 28, 28)).shape == (1, width, side, side)


def test_the_projector_has_a_norm_between_two_layers():
    projector = encoder_and_projector("mlp", 1, 8, seed=0, width_out=16).projector
    assert [type(layer).__name__ for layer in projector] == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert [tuple(weight.shape) for weight in (projector[0].weight, projector[3].weight)] == [(128, 128), (16, 128)]


def test_weights_come_from_the_seed_alone_and_the_global_generator_stays():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = network(0).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert all(torch.equal(weight, one[name]) for name, weight in network(0).state_dict().items())
    other = network(1).state_dict()
    assert not torch.equal(other["encoder.0.weight"], one["encoder.0.weight"])
    assert not torch.equal(other["projector.3.weight"], one["projector.3.weight"])


def test_outputs_are_float32_under_autocast():
    online = network()
    with torch.autocast("cpu", torch.bfloat16):
        hidden, projected = online(torch.randn(4, 1, 12, 12))
    assert (hidden.dtype, projected.dtype) == (torch.float32, torch.float32)


def test_the_follower_is_a_moving_average_of_the_parameters():
    follower, leader = network(0), network(1)
    expected = {name: weight.detach().clone() for name, weight in follower.named_parameters()}
    for momentum in (0.9, 0.5, 0.0):
        follow(follower, leader, momentum)
        for name, weight in leader.named_parameters():
            expected[name] = momentum * expected[name] + (1 - momentum) * weight.detach()
        for name, weight in follower.named_parameters():
            torch.testing.assert_close(weight, expected[name])


def test_the_follower_never_moves_the_model_nor_takes_gradients():
    method = MoCo(network(), Contrastive("moco", projection=16, queue=8), 4, seed=0)
    before = {name: value.clone() for name, value in method.online.state_dict().items()}
    method.copy(torch.randn(4, 1, 12, 12))
    follow(method.copy, network(1), 0.5)
    assert all(torch.equal(value, before[name]) for name, value in method.online.state_dict().items())
    assert not any(weight.requires_grad for weight in method.copy.parameters())
    assert all(weight.requires_grad for weight in method.online.parameters())
    method(torch.randn(4, 1, 12, 12), torch.randn(4, 1, 12, 12)).scores.loss.sum().backward()
    assert all(weight.grad is None for weight in method.copy.parameters())


def test_running_statistics_are_the_follower_s_own():
    online, follower = network(), network()
    images = torch.randn(8, 1, 12, 12) + 3
    online(images)
    follow(follower, online, 0.0)
    assert torch.equal(follower.encoder[1].running_mean, torch.zeros(16))
    follower(images)
    torch.testing.assert_close(follower.encoder[1].running_mean, online.encoder[1].running_mean)


def test_stages_end_where_the_width_changes():
    expected = {"resnet8-slim": [16, 32, 64], "resnet10-slim": [16, 32, 64, 128], "resnet50": [256, 512, 1024, 2048]}
    for name, widths in expected.items():
        encoder = models.build(name, 1, 12, 2, seed=0)[:-1].eval()
        found = {layer: encoder[: int(layer) + 1](torch.randn(1, 1, 12, 12)).shape[1] for layer in stages(encoder)}
        assert list(found.values()) == widths
        assert int(stages(encoder)[-1]) == len(encoder) - 3
    assert stages(models.build("cnn", 1, 12, 2, seed=0)[:-1]) == ["2", "6", "10"]


def test_what_cannot_be_built():
    with pytest.raises(ArgumentError, match="model is 'resnet9'"):
        encoder_and_projector("resnet9", 1, 8, seed=0)
    with pytest.raises(ArgumentError, match="encoder is 'Sequential'"):
        stages(torch.nn.Sequential(torch.nn.Flatten()))
