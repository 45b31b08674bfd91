"""The k-th smallest of many keys: of one process, or of all ranks without any of them holding all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LARGE = 2**20
"""From so many keys on, sampling before partitioning pays."""
_PROBES = 2**16
_ROUNDS = ((21, 11), (10, 11), (0, 10))
"""Shift and bits of each round of the search over ranks: 48 KiB of counts in all."""


def kth_smallest(keys: Floats, k: int) -> np.float32:
    """The k-th smallest key, NaN last: the value that ``np.partition(keys, k - 1)[k - 1]`` gives.

    Of many keys, an evenly spaced sample is sorted first. It gives a narrow window in which the k-th lies, unless the
    keys are periodic with the same spacing; counting shows whether it does, and then only the window is partitioned.
    """
    if len(keys) >= LARGE:
        some = np.sort(keys[:: len(keys) // _PROBES])
        middle, margin = len(some) * k // len(keys), _PROBES // 64
        low, high = some[max(0, middle - margin)], some[min(len(some) - 1, middle + margin)]
        before = int(np.count_nonzero(keys < low))
        window = keys[(keys >= low) & (keys <= high)]
        if before < k <= before + len(window):
            return np.float32(np.partition(window, k - 1 - before)[k - 1 - before])
    return np.float32(np.partition(keys, k - 1)[k - 1])


def kth_smallest_of_all(
    keys: Floats, k: int, all_reduce: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> np.float32:
    """As :func:`kth_smallest` where each rank has some of the keys: exact, in three rounds that exchange counts alone.

    The bits of a float32 order like an integer once the sign is turned; each round counts keys by their next bits,
    and goes on with those that share the k-th one's.

    Args:
        all_reduce: adds up every rank's counts.
    """
    bits = (keys + np.float32(0)).view(np.uint32)  # + 0: -0 and 0 are the same key
    bits = np.where(bits >> 31, ~bits, bits | np.uint32(2**31))
    bits[np.isnan(keys)] = 2**32 - 1
    found = 0
    for shift, width in _ROUNDS:
        digit = (bits >> shift) & np.uint32(2**width - 1)
        counts = all_reduce(np.bincount(digit, minlength=2**width))
        before = np.cumsum(counts) - counts
        here = int(np.searchsorted(before, k, side="left")) - 1
        k -= int(before[here])
        found |= here << shift
        bits = bits[digit == here]
    if found == 2**32 - 1:
        return np.float32(np.nan)
    raw = found ^ 2**31 if found >> 31 else found ^ (2**32 - 1)
    return np.float32(np.array(raw, dtype=np.uint32).view(np.float32))
