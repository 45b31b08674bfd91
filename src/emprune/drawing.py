"""Drawing exactly k of N: the smallest keys, or a random part of a mask; of the whole table or of a rank's shard."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emprune.shard import Shard

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]

LARGE = 2**20
"""From so many keys on, looking before partitioning pays."""
_PROBES = 2**16
_FEW = 2**20
"""Of fewer candidates, picking beats a coin for each row."""
_ROUNDS = ((21, 11), (10, 11), (0, 10))
"""Shift and bits of each round of the search over ranks: 48 KiB of counts in all."""


def smallest(keys: Floats, k: int, rng: np.random.Generator) -> Ids:
    """Positions of the k smallest keys, NaN last, ties at the boundary broken at random."""
    return np.concatenate(smallest_parts(keys, k, rng, Shard.whole(len(keys))))


def smallest_parts(keys: Floats, k: int, rng: np.random.Generator, shard: Shard) -> tuple[Ids, Ids]:
    """As :func:`smallest`, in two parts: what lies before the boundary, and what was drawn at it.

    Args:
        keys: float32, shape [rows], of the shard's rows.
        k: of all ranks' keys together; 0 ≤ k.
        rng: in the same state on every rank.

    Returns:
        Rows of the shard, in increasing order each; with those of the other ranks they are k.
    """
    none = np.empty(0, dtype=np.int64)
    if k == 0:
        return none, none
    if k >= shard.num_samples:
        return np.arange(len(keys), dtype=np.int64), none
    boundary = kth_smallest(keys, k, shard)
    if np.isnan(boundary):
        tied = np.isnan(keys)
        sure = np.flatnonzero(~tied)
    else:
        tied = keys == boundary
        sure = np.flatnonzero(keys < boundary)
    return sure, random_part(tied, k - shard.total(len(sure)), rng, shard)


def kth_smallest(keys: Floats, k: int, shard: Shard | None = None) -> np.float32:
    """The k-th smallest key of all ranks, NaN last: the value that ``np.partition(keys, k - 1)[k - 1]`` gives.

    Args:
        keys: float32, of rows of the shard; None: of the whole.
    """
    return _kth_smallest_here(keys, k) if shard is None or shard.is_whole else _kth_smallest_of_all(keys, k, shard)


def _kth_smallest_here(keys: Floats, k: int) -> np.float32:
    """All keys are here.

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


def _kth_smallest_of_all(keys: Floats, k: int, shard: Shard) -> np.float32:
    """Each rank has some keys: exact, in three rounds that exchange counts alone.

    The bits of a float32 order like an integer once the sign is turned; each round counts keys by their next bits,
    and goes on with those that share the k-th one's.
    """
    bits = (keys + np.float32(0)).view(np.uint32)  # + 0: -0 and 0 are the same key
    bits = np.where(bits >> 31, ~bits, bits | np.uint32(2**31))
    bits[np.isnan(keys)] = 2**32 - 1
    found = 0
    for shift, width in _ROUNDS:
        digit = (bits >> shift) & np.uint32(2**width - 1)
        counts = shard.sum(np.bincount(digit, minlength=2**width))
        before = np.cumsum(counts) - counts
        here = int(np.searchsorted(before, k, side="left")) - 1
        k -= int(before[here])
        found |= here << shift
        bits = bits[digit == here]
    if found == 2**32 - 1:
        return np.float32(np.nan)
    raw = found ^ 2**31 if found >> 31 else found ^ (2**32 - 1)
    return np.float32(np.array(raw, dtype=np.uint32).view(np.float32))


def random_part(mask: Mask, k: int, rng: np.random.Generator, shard: Shard | None = None) -> Ids:
    """Positions of k of the mask's samples, every subset equally likely; in increasing order.

    Args:
        mask: bool, shape [rows], of the shard's rows; None: the whole.
        k: of all ranks' marked rows together.
        rng: in the same state on every rank.
    """
    shard = shard or Shard.whole(len(mask))
    here = int(np.count_nonzero(mask))
    before, count = _before(here, shard)
    if k >= count:
        return np.flatnonzero(mask)
    if count < min(shard.num_samples // 8, _FEW):
        drawn = np.sort(rng.choice(count, k, replace=False, shuffle=False)) - before
        return np.flatnonzero(mask)[drawn[(drawn >= 0) & (drawn < here)]]
    # A coin for each sample, then as many corrections as needed at random places: uniform, because no
    # step prefers a sample, and several times faster than rng.choice, which jumps about in memory.
    coins = shard.draw(rng, lambda generator, out: generator.random(out=out, dtype=np.float32))
    picked = coins < np.float32(k / count)
    picked &= mask
    missing = k - shard.count(picked)
    pool = np.flatnonzero(mask & ~picked if missing > 0 else picked)
    before, count = _before(len(pool), shard)
    turned = rng.choice(count, abs(missing), replace=False, shuffle=False) - before
    picked[pool[turned[(turned >= 0) & (turned < len(pool))]]] = missing > 0
    return np.flatnonzero(picked)


def _before(here: int, shard: Shard) -> tuple[int, int]:
    """How many rows the ranks before this one count, and all ranks."""
    counts = shard.counts(here)[:, 0]
    return int(counts[: shard.world.rank].sum()), int(counts.sum())
