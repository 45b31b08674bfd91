"""Random numbers that depend on (seed, epoch, purpose) and on nothing else."""

from __future__ import annotations

import hashlib

from numpy.random import SFC64, Generator  # by name: numpy would import them in the first plan, counted as selecting


def derive_seed(seed: int, epoch: int, purpose: str, bits: int = 128) -> int:
    """Hash (seed, epoch, purpose) to an integer of ``bits`` bits (at most 512).

    A hash rather than a sum: seed 0 epoch 1 and seed 1 epoch 0 have nothing in common.

    >>> derive_seed(0, 1, "select") != derive_seed(1, 0, "select")
    True
    """
    digest = hashlib.blake2b(f"{seed}/{epoch}/{purpose}".encode(), digest_size=bits // 8)
    return int.from_bytes(digest.digest(), "little")


def generator(seed: int, epoch: int, purpose: str) -> Generator:
    """A fresh generator for one purpose of one epoch; global generators are never touched."""
    return Generator(SFC64(derive_seed(seed, epoch, purpose)))
