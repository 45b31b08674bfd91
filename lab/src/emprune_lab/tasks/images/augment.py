"""Augmentation in batch, on the device, by a generator that depends on (seed, epoch, position) alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from emprune.seeding import derive_seed


def shift_and_flip(images: torch.Tensor, pixels: int, seed: int, epoch: int, position: int) -> torch.Tensor:
    """Shift each image by up to ``pixels`` (edges reflected) and mirror half of them left to right.

    Args:
        images: floating point, shape [B, C, H, W].
        pixels: largest shift in each direction, 0 ≤ pixels < H; 0 returns the images as they are.
        seed, epoch, position: the run's seed, the epoch and the sample at which the batch begins.

    Returns:
        A new tensor of the same shape, channels last.
    """
    if pixels == 0:
        return images
    batch, _, height, width = images.shape
    rng = torch.Generator().manual_seed(derive_seed(seed, epoch, f"augment at {position}", bits=56))
    shifts = torch.randint(0, 2 * pixels + 1, (2, batch, 1), generator=rng)
    mirrored = torch.randint(0, 2, (batch, 1), generator=rng).bool()
    rows = shifts[0] + torch.arange(height)
    columns = torch.where(mirrored, torch.arange(width - 1, -1, -1), torch.arange(width)) + shifts[1]
    rows, columns = rows.to(images.device, non_blocking=True), columns.to(images.device, non_blocking=True)
    padded = F.pad(images, (pixels,) * 4, mode="reflect").permute(0, 2, 3, 1)
    picked = padded[torch.arange(batch, device=images.device)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)
