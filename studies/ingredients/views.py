"""What a sample looks like in an epoch, so that a proxy sees what the network will, and mirrored by visit count."""

from __future__ import annotations

import torch

from emprune.seeding import generator
from emprune_lab.tasks.images.augment import moved


class Views:
    """Shift and mirroring that follow from (seed, epoch, id): the same whoever asks, and in whichever batch.

    Args:
        num_samples: N. pixels: largest shift, 0 ≤ pixels < H; 0 leaves the images as they are, unmirrored.
        seed: the run's.
        by_visits: a sample is mirrored at every other visit, instead of by a coin.
    """

    def __init__(self, num_samples: int, pixels: int, seed: int, *, by_visits: bool = False) -> None:
        self.pixels, self._seed, self._by_visits = pixels, seed, by_visits
        self._first = torch.from_numpy(generator(seed, -1, "first side").integers(0, 2, num_samples))
        self.visits = torch.zeros(num_samples, dtype=torch.int64)
        self._epoch, self._numbers = -1, torch.empty(0)

    def __call__(self, images: torch.Tensor, ids: torch.Tensor, epoch: int) -> torch.Tensor:
        """The images of these samples as this epoch sees them.

        Args:
            images: float32, shape [B, C, H, W]. ids: int64, shape [B]. epoch: from 0.
        """
        if self.pixels == 0:
            return images
        if epoch != self._epoch:
            self._epoch, self._numbers = epoch, _drawn(self._seed, epoch, self.pixels, len(self.visits))
        numbers = self._numbers[:, ids]
        if self._by_visits:
            numbers[2] = mirrored(self._first[ids], self.visits[ids])
        return moved(images, self.pixels, numbers)

    def visited(self, ids: torch.Tensor) -> None:
        """Count a visit of each of these samples; ids are distinct."""
        self.visits[ids] += 1


def mirrored(first: torch.Tensor, visits: torch.Tensor) -> torch.Tensor:
    """Whether a sample is mirrored at its next visit: every other time, and half of all samples at the first.

    The idea is that of alternating flip (Jordan, arXiv:2404.00498), which counts epochs, since there every
    sample is trained in each.

    Args:
        first: int64, shape [B], 0 or 1, drawn once for each sample. visits: int64, shape [B], times trained before.

    Returns:
        int64, shape [B], 0 or 1.
    """
    return (first + visits) % 2


def _drawn(seed: int, epoch: int, pixels: int, num_samples: int) -> torch.Tensor:
    rng = generator(seed, epoch, "views")
    shifts = torch.from_numpy(rng.integers(0, 2 * pixels + 1, (2, num_samples)))
    return torch.cat([shifts, torch.from_numpy(rng.integers(0, 2, (1, num_samples)))])
