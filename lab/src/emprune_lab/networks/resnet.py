"""Residual networks for small images (He et al., arXiv:1512.03385), with the CIFAR stem."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import relu


class Basic(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm(before, width, 3, stride), nn.ReLU(inplace=True), *_conv_norm(width, width, 3)
        )
        self.shortcut = _shortcut(before, width, stride)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return relu(self.body(images) + self.shortcut(images), inplace=True)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions beside a shortcut; four times as many channels leave as the 3×3 has."""

    expansion = 4

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = width * self.expansion
        self.body = nn.Sequential(
            *_conv_norm(before, width, 1), nn.ReLU(inplace=True),
            *_conv_norm(width, width, 3, stride), nn.ReLU(inplace=True),
            *_conv_norm(width, after, 1),
        )  # fmt: skip
        self.shortcut = _shortcut(before, after, stride)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return relu(self.body(images) + self.shortcut(images), inplace=True)


def resnet(
    channels: int,
    num_classes: int,
    *,
    block: type[Basic] | type[Bottleneck],
    width: int,
    blocks: Sequence[int],
    stem_stride: int = 1,
) -> nn.Sequential:
    """A ResNet whose stem is one 3×3 convolution without pooling, as is usual for images of 32×32.

    Args:
        channels: of the images.
        width: channels of the first stage's 3×3 convolutions; each further stage doubles them.
        blocks: number of blocks of each stage; every stage but the first begins with stride 2.
        stem_stride: 2 halves the image at once, for a quarter of the work.
    """
    layers: list[nn.Module] = [*_conv_norm(channels, width, 3, stem_stride), nn.ReLU(inplace=True)]
    before = width
    for stage, count in enumerate(blocks):
        inside = width * 2**stage
        for index in range(count):
            layers.append(block(before, inside, 2 if stage > 0 and index == 0 else 1))
            before = inside * block.expansion
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, num_classes))


def _conv_norm(before: int, after: int, kernel: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    conv = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(after)


def _shortcut(before: int, after: int, stride: int) -> nn.Module:
    if before == after and stride == 1:
        return nn.Identity()
    return nn.Sequential(*_conv_norm(before, after, 1, stride))
