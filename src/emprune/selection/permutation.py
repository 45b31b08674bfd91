"""The random order of an epoch's k samples, of which a rank may compute the places that it trains alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

LARGE = 2**20
"""From so many samples on, the order is computed place by place instead of shuffled."""
_ROUNDS = 6
_CHUNK = 65_536


def order(k: int, rng: np.random.Generator, places: Ids | None = None) -> Ids:
    """Which of k samples stands at each place of a random order.

    Up to 2²⁰ samples every order is equally likely. Beyond, a Feistel network with random tables for its round
    functions (Luby & Rackoff 1988) permutes the numbers below the next power of two, and is applied until the result
    is below k: no rank has to hold the whole order to know a part of it.

    Args:
        k: number of samples.
        rng: in the same state on every rank.
        places: int64, shape [M], in [0, k); None: all.

    Returns:
        int64, shape [M] or [k], in [0, k).
    """
    if k < LARGE:
        shuffled: Ids = rng.permutation(k)
        return shuffled if places is None else shuffled[places]
    width = (k - 1).bit_length()
    low = width // 2
    sizes = [2**low, 2 ** (width - low)]
    # 32 bits where they suffice, for speed; the numbers drawn are the same.
    kind = np.uint32 if width <= 32 else np.int64
    tables = [rng.integers(0, sizes[i % 2], sizes[1 - i % 2]).astype(kind) for i in range(_ROUNDS)]
    found = np.arange(k, dtype=np.int64) if places is None else places.copy()
    for begin in range(0, len(found), _CHUNK):  # by chunks, so that intermediate values stay in the cache
        part = found[begin : begin + _CHUNK]
        part[:] = _walked(part.astype(kind), k, low, tables)
    return found


def look_up(ids: Ids, places: Ids) -> None:
    """Replace each place by the id that stands there, ``places[:] = ids[places]``: new memory costs more than the work.

    Args:
        ids: int64, shape [k].
        places: int64, shape [M], in [0, k).
    """
    for begin in range(0, len(places), _CHUNK):
        part = places[begin : begin + _CHUNK]
        part[:] = ids.take(part)


def _walked(numbers: NDArray[Any], k: int, low: int, tables: list[NDArray[Any]]) -> NDArray[Any]:
    """Permute the numbers, those again and again that come out at k or above."""
    numbers = _permuted(numbers, low, tables)
    left = np.flatnonzero(numbers >= k)
    while len(left):
        again = _permuted(numbers[left], low, tables)
        numbers[left] = again
        left = left[again >= k]
    return numbers


def _permuted(numbers: NDArray[Any], low: int, tables: list[NDArray[Any]]) -> NDArray[Any]:
    halves = [numbers & numbers.dtype.type(2**low - 1), numbers >> numbers.dtype.type(low)]
    for i, table in enumerate(tables):
        halves[i % 2] ^= table.take(halves[1 - i % 2])
    joined: NDArray[Any] = halves[0] | halves[1] << numbers.dtype.type(low)
    return joined
