"""Drawing exactly k of N: the smallest keys, or a random part of a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]

LARGE = 2**20
"""From so many keys on, looking before partitioning pays."""
_PROBES = 2**16


def smallest(keys: Floats, k: int, rng: np.random.Generator) -> Ids:
    """Positions of the k smallest keys, NaN last, ties at the boundary broken at random."""
    if k == 0:
        return np.empty(0, dtype=np.int64)
    if k >= len(keys):
        return np.arange(len(keys), dtype=np.int64)
    boundary = kth_smallest(keys, k)
    if np.isnan(boundary):
        tied = np.isnan(keys)
        sure = np.flatnonzero(~tied)
    else:
        tied = keys == boundary
        sure = np.flatnonzero(keys < boundary)
    return np.concatenate([sure, random_part(tied, k - len(sure), rng)])


def kth_smallest(keys: Floats, k: int) -> np.float32:
    """The k-th smallest key, NaN last: the value that ``np.partition(keys, k - 1)[k - 1]`` gives.

    Of many keys, every so many are sorted first. They tell a narrow window in which the k-th lies unless
    the keys are laid out in step with them; counting tells whether it does, and then only the window is
    partitioned.
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


def random_part(mask: Mask, k: int, rng: np.random.Generator) -> Ids:
    """Positions of k of the mask's samples, every subset equally likely."""
    count = int(np.count_nonzero(mask))
    if k >= count:
        return np.flatnonzero(mask)
    if count < len(mask) // 8:
        return rng.choice(np.flatnonzero(mask), k, replace=False, shuffle=False)
    # A coin for each sample, then as many corrections as needed at random places: uniform, because no
    # step prefers a sample, and several times faster than rng.choice, which jumps about in memory.
    picked = rng.random(len(mask), dtype=np.float32) < np.float32(k / count)
    picked &= mask
    missing = k - int(np.count_nonzero(picked))
    pool = np.flatnonzero(mask & ~picked if missing > 0 else picked)
    picked[rng.choice(pool, abs(missing), replace=False, shuffle=False)] = missing > 0
    return np.flatnonzero(picked)
