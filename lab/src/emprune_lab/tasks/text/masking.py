"""Masked-language modelling: which tokens of a window are hidden, and what stands in their place."""

from __future__ import annotations

import numpy as np
import torch

from emprune.seeding import generator
from emprune_lab.tasks.text.windows import IGNORED

MASKED = 0.15
_TO_MASK, _TO_ANY = 0.8, 0.1


def masked(windows: torch.Tensor, mask: int, seed: int, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Hide round(0.15·T) tokens of every window, at least one (Devlin et al. 2018, arXiv:1810.04805).

    Of those chosen, 80 % become the mask, 10 % a token at random, 10 % stay. New in every epoch ("dynamic", Liu et
    al. 2019, arXiv:1907.11692), and a function of (seed, epoch, position of the window) alone.

    Args:
        windows: int64, shape [N, T], tokens below ``mask``.

    Returns:
        Inputs and labels, int64, shape [N, T]; what is not predicted has the label -100.
    """
    number, length = windows.shape
    rng = generator(seed, epoch, "masking")
    chosen = np.zeros((number, length), dtype=bool)
    first = np.argsort(rng.random((number, length), dtype=np.float32), axis=1)[:, : max(1, round(MASKED * length))]
    np.put_along_axis(chosen, first, True, axis=1)
    kind, anything = rng.random((number, length), dtype=np.float32), rng.integers(0, mask, (number, length))
    inputs = windows.numpy().copy()
    to_any = chosen & (kind >= _TO_MASK) & (kind < _TO_MASK + _TO_ANY)
    inputs[to_any] = anything[to_any]
    inputs[chosen & (kind < _TO_MASK)] = mask
    return torch.from_numpy(inputs), torch.where(torch.from_numpy(chosen), windows, IGNORED)


def masked_once(windows: torch.Tensor, mask: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Every window several times, so that each of its tokens is hidden exactly once; the same on every call.

    With seven times, a seventh of a window is hidden at a time, about what training hides. All of it by the mask:
    what is measured is how well hidden tokens are predicted.

    Args:
        windows: int64, shape [N, T].

    Returns:
        Inputs and labels, shape [times·N, T] with times = min(7, T); the first N hide one part of each window, and
        so on.
    """
    number, length = windows.shape
    times = min(round(1 / MASKED), length)
    order = np.argsort(generator(0, 0, "held-out masking").random((number, length)), axis=1)
    part = np.argsort(order, axis=1) % times
    chosen = torch.from_numpy(np.concatenate([part == one for one in range(times)]))
    repeated = windows.repeat(times, 1)
    return torch.where(chosen, mask, repeated), torch.where(chosen, repeated, IGNORED)
