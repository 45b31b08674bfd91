"""Augmentation in batch, on the device, by a generator that depends on (seed, epoch, position) alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from emprune.seeding import derive_seed


class ShiftAndFlip:
    """Shift each image by up to so many pixels (edges reflected) and mirror half of them left to right.

    Args:
        pixels: largest shift in each direction, 0 ≤ pixels < H; 0 leaves the images as they are.
        seed: the run's.
        ahead: number of batches whose random numbers are drawn, and moved to the device, at once; does not change them.
    """

    def __init__(self, pixels: int, seed: int, *, ahead: int = 1) -> None:
        self.pixels, self.seed, self.ahead = pixels, seed, ahead
        self._drawn: dict[tuple[int, int, int], torch.Tensor] = {}

    def __call__(self, images: torch.Tensor, epoch: int, position: int) -> torch.Tensor:
        """The batch, augmented.

        Args:
            images: floating point, shape [B, C, H, W].
            epoch, position: the epoch, and the sample at which the batch begins in it.

        Returns:
            A new tensor of the same shape, channels last; the images themselves where nothing is shifted.
        """
        if self.pixels == 0:
            return images
        return moved(images, self.pixels, self._numbers(len(images), epoch, position, images.device))

    def _numbers(self, batch: int, epoch: int, position: int, device: torch.device) -> torch.Tensor:
        """int16, shape [3, B]: rows and columns of shift, 0 to 2·pixels, and whether mirrored."""
        if (batch, epoch, position) not in self._drawn:
            places = range(position, position + batch * self.ahead, batch)
            drawn = torch.stack([_draw(self.pixels, batch, self.seed, epoch, place) for place in places])
            there = drawn.to(device, non_blocking=True)
            self._drawn = {(batch, epoch, place): part for place, part in zip(places, there, strict=True)}
        return self._drawn[batch, epoch, position]


def _draw(pixels: int, batch: int, seed: int, epoch: int, position: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(derive_seed(seed, epoch, f"augment at {position}", bits=56))
    shifts = torch.randint(0, 2 * pixels + 1, (2, batch), generator=rng)
    return torch.cat([shifts, torch.randint(0, 2, (1, batch), generator=rng)]).short()


def moved(images: torch.Tensor, pixels: int, numbers: torch.Tensor) -> torch.Tensor:
    """Images shifted (edges reflected) and mirrored left to right.

    Args:
        images: floating point, shape [B, C, H, W].
        pixels: largest shift, 0 ≤ pixels < H.
        numbers: integers, shape [3, B]: rows and columns of shift, from 0 to 2·pixels, where ``pixels`` is none, and
            whether mirrored, 0 or 1.

    Returns:
        A new tensor of the same shape, channels last.
    """
    batch, _, height, width = images.shape
    at = torch.arange(max(batch, height, width), device=images.device)
    down, across, mirrored = numbers.long()[:, :, None]
    rows = down + at[:height]
    columns = torch.where(mirrored.bool(), width - 1 - at[:width], at[:width]) + across
    padded = F.pad(images, (pixels,) * 4, mode="reflect").permute(0, 2, 3, 1)
    picked = padded[at[:batch, None, None], rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)
