"""An encoder with a projector, and the layers of the encoder at which its stages end."""

from __future__ import annotations

import torch
from torch import nn

from emprune.errors import ArgumentError
from emprune.seeding import derive_seed
from emprune_lab.networks import models
from emprune_lab.networks.network import seeded
from emprune_lab.networks.resnet import Basic, Bottleneck


class EncoderAndProjector(nn.Module):
    """The network that learns: an encoder, which is kept, and a projector, which only training needs."""

    def __init__(self, encoder: nn.Sequential, projector: nn.Module) -> None:
        super().__init__()
        self.encoder, self.projector = encoder, projector

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden features [B, D] and projections [B, P] of images [B, C, H, W]; float32, under autocast too."""
        hidden = self.encoder(images)
        return hidden.float(), self.projector(hidden).float()


def encoder_and_projector(
    model_name: str, channels: int, size: int, seed: int, width_out: int = 128
) -> EncoderAndProjector:
    """A model of the lab without its linear head, and a projector, with weights drawn from ``seed`` alone.

    The projector has two layers, as in SimCLR (Chen et al. 2020, arXiv:2002.05709, section 2.1) and MoCo v2 (Chen et
    al. 2020, arXiv:2003.04297): D → D → ``width_out`` with a ReLU between them. Both write it without batch norm; here
    it stands before the ReLU, as it does in SimCLR's published training.

    Args:
        model_name: one of :data:`emprune_lab.networks.models.MODELS`, else ArgumentError.
        channels, size: of the images, [B, channels, size, size].
    """
    model = models.build(model_name, channels, size, 2, seed)
    width: int = model[-1].in_features  # type: ignore[assignment]
    with seeded(derive_seed(seed, 0, "projector", bits=56), torch.device("cpu")):
        projector = nn.Sequential(
            nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True),
            nn.Linear(width, width_out),
        )  # fmt: skip
    return EncoderAndProjector(nn.Sequential(*list(model)[:-1]), projector)


def stages(encoder: nn.Sequential) -> list[str]:
    """Names of the encoder's layers at which its stages end, in order, for ``emprune.Capture(encoder, ...)``.

    Of a ResNet the last block of each width, maps of [B, C, H, W]; of other models every ReLU.

    Raises:
        ArgumentError: it has neither.

    >>> stages(models.build("resnet18", 3, 32, 10, seed=0)[:-1]), stages(models.build("mlp", 1, 8, 10, seed=0)[:-1])
    (['4', '6', '8', '10'], ['2', '4'])
    """
    layers = list(encoder.named_children())
    last_of_width = {
        layer.body[-1].num_features: name for name, layer in layers if isinstance(layer, Basic | Bottleneck)
    }
    names = list(last_of_width.values()) or [name for name, layer in layers if isinstance(layer, nn.ReLU)]
    if not names:
        raise ArgumentError("encoder", type(encoder).__name__, "a Sequential of residual blocks, or with ReLU layers")
    return names
