"""An encoder with a projector, and the momentum copy of both that MoCo takes its keys from."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from emprune.errors import ArgumentError
from emprune.seeding import derive_seed
from emprune_lab.networks import models
from emprune_lab.networks.network import seeded
from emprune_lab.networks.resnet import Basic, Bottleneck


def encoder_and_projector(
    model_name: str, channels: int, size: int, seed: int, width_out: int = 128
) -> EncoderAndProjector:
    """A model of the lab without its linear head, and a projector, with weights drawn from ``seed`` alone.

    The projector has two layers, as in SimCLR (Chen et al. 2020, arXiv:2002.05709, section 2.1) and MoCo v2 (Chen et
    al. 2020, arXiv:2003.04297): D → D → ``width_out`` with a ReLU between them. Both write it without batch norm; here
    it stands before the ReLU, as it does in SimCLR's published training.

    Args:
        model_name: one of :data:`emprune_lab.networks.models.MODELS`.
        channels, size: of the images, [B, channels, size, size].
        width_out: P, the projector's outputs, at least 2.

    Returns:
        Images to features [B, D], those to [B, P]. The encoder is channels last.

    Raises:
        ArgumentError: the model is unknown or the width too small.
    """
    if width_out < 2:
        raise ArgumentError("width_out", width_out, "an integer of at least 2")
    model = models.build(model_name, channels, size, 2, seed)
    width: int = model[-1].in_features  # type: ignore[assignment]
    with seeded(derive_seed(seed, 0, "projector", bits=56), torch.device("cpu")):
        projector = nn.Sequential(
            nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True),
            nn.Linear(width, width_out),
        )  # fmt: skip
    return EncoderAndProjector(nn.Sequential(*list(model)[:-1]), projector)


class EncoderAndProjector(nn.Module):
    """The network that learns: an encoder, which is kept, and a projector, which only training needs."""

    def __init__(self, encoder: nn.Sequential, projector: nn.Module) -> None:
        super().__init__()
        self.encoder, self.projector = encoder, projector

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden features [B, D] and projections [B, P] of images [B, C, H, W]; float32, under autocast too."""
        hidden = self.encoder(images)
        return hidden.float(), self.projector(hidden).float()


class MomentumCopy(nn.Module):
    """A copy of encoder and projector that follows them slowly and gives MoCo its keys (He et al., arXiv:1911.05722).

    Its parameters get no gradient and are part of ``state_dict``. It stays in the mode of ``train()`` and ``eval()`` as
    other modules: in training, batch norm takes the statistics of the batch of keys. Its running statistics are its
    own, from its own batches, and do not follow, as in MoCo's published code.

    A departure: MoCo shuffles the keys' batch between devices, lest batch norm tells which key belongs to which query.
    On one device there is nothing to shuffle with, and so nothing is.
    """

    def __init__(self, online: EncoderAndProjector) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(online.encoder).requires_grad_(False)
        self.projector = copy.deepcopy(online.projector).requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden features [B, D] and keys [B, P] of images [B, C, H, W]; float32, no gradient, keys not normalised."""
        hidden = self.encoder(images)
        return hidden.float(), self.projector(hidden).float()

    def follow(self, online: EncoderAndProjector, momentum: float) -> None:
        """θ_k ← m·θ_k + (1 - m)·θ_q, equation 2 of MoCo; call it once a step, before the keys are computed.

        Raises:
            ArgumentError: the momentum is outside [0, 1).
        """
        if not 0 <= momentum < 1:
            raise ArgumentError("momentum", momentum, "a number in [0, 1)")
        for ours, theirs in ((self.encoder, online.encoder), (self.projector, online.projector)):
            average = get_ema_multi_avg_fn(momentum)  # type: ignore[no-untyped-call]
            average(list(ours.parameters()), [weight.detach() for weight in theirs.parameters()], None)


def stages(encoder: nn.Sequential) -> list[str]:
    """Names of the encoder's layers at which its stages end, in order, for ``emprune.Capture(encoder, ...)``.

    Of a ResNet the last block of each width, maps of [B, C, H, W]; of other models every ReLU.

    Raises:
        ArgumentError: it has neither.

    >>> stages(models.build("resnet18", 3, 32, 10, seed=0)[:-1]), stages(models.build("mlp", 1, 8, 10, seed=0)[:-1])
    (['4', '6', '8', '10'], ['2', '4'])
    """
    widths = {name: _width(layer) for name, layer in encoder.named_children() if isinstance(layer, Basic | Bottleneck)}
    last_of_width = {width: name for name, width in widths.items()}
    names = list(last_of_width.values()) or [
        name for name, layer in encoder.named_children() if isinstance(layer, nn.ReLU)
    ]
    if not names:
        raise ArgumentError(
            "encoder", type(encoder).__name__, "a Sequential of residual blocks, or with ReLU layers",
            "Name the layers to capture instead.",
        )  # fmt: skip
    return names


def _width(block: Basic | Bottleneck) -> int:
    return int(block.body[-1].num_features)  # type: ignore[arg-type]
