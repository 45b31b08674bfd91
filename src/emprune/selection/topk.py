"""Drawing exactly k of N: the smallest keys, or a random part of a mask; of the rows of a rank."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emprune.distributed.rank_slice import RankSlice

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]

_FEW = 2**20
"""Of fewer candidates, picking beats a coin for each row."""
_BLOCK = 1024
"""Rows that are counted at once: 8 of them share a word, 128 words are as many as a byte can count."""


def smallest(keys: Floats, k: int, rng: np.random.Generator) -> Ids:
    """Positions of the k smallest keys, NaN last, ties at the boundary broken at random."""
    return np.concatenate(smallest_parts(keys, k, rng, RankSlice.whole(len(keys))))


def smallest_parts(keys: Floats, k: int, rng: np.random.Generator, owned: RankSlice) -> tuple[Ids, Ids]:
    """As :func:`smallest`, in two parts: what lies before the boundary, and what was drawn at it.

    Args:
        keys: float32, shape [rows], of the rows of this rank.
        k: of all ranks' keys together; 0 ≤ k.
        rng: in the same state on every rank.

    Returns:
        Rows of this rank, in increasing order each; with those of the other ranks they are k.
    """
    none = np.empty(0, dtype=np.int64)
    if k == 0:
        return none, none
    if k >= owned.num_samples:
        return np.arange(len(keys), dtype=np.int64), none
    boundary = owned.kth_smallest(keys, k)
    if np.isnan(boundary):
        tied = np.isnan(keys)
        sure = np.flatnonzero(~tied)
    else:
        tied = keys == boundary
        sure = np.flatnonzero(keys < boundary)
    return sure, random_part(tied, k - owned.total(len(sure)), rng, owned)


def random_subset(mask: Mask, k: int, rng: np.random.Generator) -> Ids:
    """Positions of k of the mask's samples, every subset equally likely; in increasing order; all of them if fewer."""
    return random_part(mask, k, rng, RankSlice.whole(len(mask)))


def random_part(mask: Mask, k: int, rng: np.random.Generator, owned: RankSlice) -> Ids:
    """As :func:`random_subset`, of the marked rows of all ranks together.

    Args:
        mask: bool, shape [rows], of the rows of this rank.
        k: of all ranks' marked rows together.
        rng: in the same state on every rank.
    """
    here = int(np.count_nonzero(mask))
    before, count = owned.before_and_total(here)
    if k >= count:
        return np.flatnonzero(mask)
    if count < min(owned.num_samples // 8, _FEW):
        drawn = np.sort(rng.choice(count, k, replace=False, shuffle=False)) - before
        return np.flatnonzero(mask)[drawn[(drawn >= 0) & (drawn < here)]]
    # A coin for each sample, then as many corrections as needed at random places: uniform, because no
    # step prefers a sample, and several times faster than rng.choice, which jumps about in memory.
    coins = owned.draw(rng, lambda generator, out: generator.random(out=out, dtype=np.float32))
    picked = coins < np.float32(k / count)
    picked &= mask
    missing = k - owned.count(picked)
    pool = mask & ~picked if missing > 0 else picked
    here = int(np.count_nonzero(pool))
    before, count = owned.before_and_total(here)
    turned = rng.choice(count, abs(missing), replace=False, shuffle=False) - before
    picked[marked_at(pool, turned[(turned >= 0) & (turned < here)])] = missing > 0
    return np.flatnonzero(picked)


def marked_at(mask: Mask, which: Ids) -> Ids:
    """``np.flatnonzero(mask)[which]`` for a few of many, without writing all of them down.

    Args:
        which: int64, shape [M], each from 0 to the number of marked rows less one.
    """
    if len(which) * _BLOCK > len(mask):
        return np.flatnonzero(mask)[which]
    padded = -(-len(mask) // _BLOCK) * _BLOCK
    blocks = (mask if padded == len(mask) else np.append(mask, np.zeros(padded - len(mask), dtype=bool))).reshape(
        -1, _BLOCK
    )
    # Bytes of eight rows are added at once, as often as a byte can hold.
    by_byte = np.add.reduce(blocks.view(np.uint64), axis=1).view(np.uint8).reshape(-1, 8)
    ends = np.cumsum(by_byte.sum(axis=1, dtype=np.int64))
    block = np.searchsorted(ends, which, side="right")
    found = np.empty(len(which), dtype=np.int64)
    for begin in range(0, len(which), _BLOCK):
        part = block[begin : begin + _BLOCK]
        marked = blocks[part]
        left = which[begin : begin + _BLOCK] - (ends[part] - np.count_nonzero(marked, axis=1))
        inside = np.cumsum(marked, axis=1, dtype=np.int16)
        found[begin : begin + _BLOCK] = part * _BLOCK + (inside <= left[:, None]).sum(axis=1)
    return found
