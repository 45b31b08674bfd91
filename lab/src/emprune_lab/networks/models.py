"""Networks of the lab, each a Sequential whose last module is the linear head: ``model[:-1]`` gives features."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from emprune.errors import ArgumentError
from emprune_lab.networks.resnet import Basic, Bottleneck, resnet


def mlp(channels: int, size: int, num_classes: int) -> nn.Sequential:
    """Two hidden layers of 128 units."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * size * size, 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, num_classes),
    )


def cnn(channels: int, size: int, num_classes: int) -> nn.Sequential:
    """Two 3×3 convolutions of 32 and 64 channels, each with batch norm and pooling, and a hidden layer of 128."""
    side = size // 4
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * side * side, 128),
        nn.ReLU(),
        nn.Linear(128, num_classes),
    )


def _resnet(
    block: type[Basic] | type[Bottleneck], width: int, blocks: Sequence[int], stem_stride: int = 1
) -> Callable[[int, int, int], nn.Sequential]:
    return lambda channels, size, num_classes: resnet(
        channels, num_classes, block=block, width=width, blocks=blocks, stem_stride=stem_stride
    )


MODELS: dict[str, Callable[[int, int, int], nn.Sequential]] = {
    "mlp": mlp,
    "cnn": cnn,
    "resnet8-slim": _resnet(Basic, 16, (1, 1, 1), stem_stride=2),
    "resnet10-slim": _resnet(Basic, 16, (1, 1, 1, 1), stem_stride=2),
    "resnet10-thin": _resnet(Basic, 32, (1, 1, 1, 1), stem_stride=2),
    "resnet18": _resnet(Basic, 64, (2, 2, 2, 2)),
    "resnet50": _resnet(Bottleneck, 64, (3, 4, 6, 3)),
}
"""Every model by name: (channels, image size, classes) → module from images [B, C, H, W] to logits [B, classes].

resnet18 and resnet50 have the CIFAR stem; resnet10-thin has half their width, one block a stage and a stem of
stride 2, resnet10-slim a quarter of it, and resnet8-slim three of its four stages.
"""


def check_name(name: str) -> None:
    """Raise ArgumentError unless it is one of :data:`MODELS`."""
    if name not in MODELS:
        raise ArgumentError("model", name, f"one of {', '.join(MODELS)}")


def build(name: str, channels: int, size: int, num_classes: int, seed: int) -> nn.Sequential:
    """Build a model with weights drawn from ``seed`` alone; the global generator is left as it was.

    Raises:
        ArgumentError: the name is unknown.
    """
    check_name(name)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MODELS[name](channels, size, num_classes)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
