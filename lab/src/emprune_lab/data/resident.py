"""Images that stay on the device for the whole run and leave it in batches, scaled."""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d


class ResidentImages:
    """A set's images on the device: as uint8, or as float32 where they are pooled, which is done once.

    Args:
        images: uint8, shape [N, C, H, W].
        device: where they stay.
        pool: they are averaged over pool × pool pixels.
    """

    def __init__(self, images: torch.Tensor, device: torch.device, pool: int = 1) -> None:
        stored = images.to(device)
        if pool > 1:
            stored = avg_pool2d(_scaled(stored), pool)
        self._stored = stored.contiguous(memory_format=torch.channels_last)

    def __len__(self) -> int:
        return len(self._stored)

    @property
    def shape(self) -> torch.Size:
        """[N, C, H, W] after pooling."""
        return self._stored.shape

    def __getitem__(self, which: torch.Tensor | slice) -> torch.Tensor:
        """float32, shape [B, C, H, W], in [-1, 1], channels last."""
        picked = self._stored[which]
        return picked if picked.is_floating_point() else _scaled(picked)


def _scaled(images: torch.Tensor) -> torch.Tensor:
    return images.float().div_(127.5).sub_(1)
