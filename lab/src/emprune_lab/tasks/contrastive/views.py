"""Two random views of each image, in batch, on the device, by kornia; seeded by (seed, epoch, position) alone."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import nn

from emprune.seeding import derive_seed
from emprune_lab.extras import needed
from emprune_lab.networks.network import seeded


def two_views(images: torch.Tensor, seed: int, epoch: int, position: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two random views of each image.

    SimCLR's augmentation for small images (Chen et al. 2020, arXiv:2002.05709, appendix B.9, with jitter of strength
    0.5): a random part, of 20 % of the area (MoCo v2's least; SimCLR's is 8 %) up to all of it, at the full size; half
    of them mirrored; colour jitter for 80 %, grey for 20 %. Images of another number of channels than 3 have no
    colours: they get brightness and contrast of the jitter, and half of them a light blur. The order of the jitter's
    parts is one for the batch.

    Args:
        images: float32, shape [B, C, H, W], in [-1, 1].
        seed, epoch, position: the run's seed, the epoch and the sample at which the batch begins. The same three and
            the same images give the same views; the global generators are left as they were.

    Returns:
        (first, second): new tensors like ``images``, without gradient, channels last.

    Raises:
        DataError: kornia is missing.
    """
    augmentation = _augmentation(*images.shape[1:])
    with torch.no_grad(), seeded(derive_seed(seed, epoch, f"two views at {position}", bits=56), images.device):
        # One call for both views: kornia's cost is mostly per call at these sizes.
        views = augmentation(torch.cat([images, images]).add_(1).mul_(0.5))
    first, second = views.mul_(2).sub_(1).clamp_(-1, 1).contiguous(memory_format=torch.channels_last).chunk(2)
    return first, second


def plain_views(images: torch.Tensor, seed: int, position: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two fixed views of each image, the same in every epoch, to measure by: :func:`two_views` of a fixed epoch.

    Choices are drawn batch by batch: the same images must come in the same batches.
    """
    return two_views(images, seed, -1, position)


@lru_cache
def _augmentation(channels: int, height: int, width: int) -> nn.Sequential:
    kornia = needed("kornia.augmentation", "contrastive")
    part = kornia.RandomResizedCrop((height, width), scale=(0.2, 1.0), cropping_mode="resample")
    mirror = kornia.RandomHorizontalFlip(p=0.5)
    if channels == 3:
        return nn.Sequential(part, mirror, kornia.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8), kornia.RandomGrayscale(p=0.2))
    jitter = kornia.ColorJitter(0.4, 0.4, 0.0, 0.0, p=0.8)
    return nn.Sequential(part, mirror, jitter, kornia.RandomGaussianBlur((3, 3), (0.1, 1.0), p=0.5))
