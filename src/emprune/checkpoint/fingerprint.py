"""What identifies a data set: a short text, so that a run is not resumed on other data."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from emprune.checks import integer
from emprune.errors import ArgumentError


def fingerprint_of(dataset: Any, samples: int = 64) -> str:
    """The data set's length and a digest of evenly spaced samples, the first and the last among them.

    Finds a data set that was shrunk, grown, shuffled or made anew. Two samples that changed places unseen
    between those looked at are not found: give more ``samples``, or a text of your own (a version, a
    checksum). Random augmentation counts with the global generators at a fixed seed, after which they are as
    they were; one that draws from a generator of its own differs each time: give the plain data set.

    Args:
        dataset: map-style; its samples are tensors, arrays, images, numbers, text, bytes, None, and lists,
            tuples and dicts of these.
        samples: how many to read, at least 1.

    Raises:
        ArgumentError: the data set has no length, or a sample holds something else.

    >>> fingerprint_of([0.5, 0.25]), fingerprint_of([0.25, 0.5])
    ('2 samples, 962dca85e2dcad62', '2 samples, 79ad6cc8a1387138')
    """
    samples = integer("samples", samples, 1)
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise ArgumentError("dataset", type(dataset).__name__, "a map-style dataset with __len__ and __getitem__")
    size = len(dataset)
    digest = hashlib.blake2b(f"{size}".encode(), digest_size=8)
    for index in np.unique(np.linspace(0, size - 1, min(samples, size)).round().astype(np.int64)).tolist():
        with fixed_generators():
            sample = dataset[index]
        for part in _parts(sample):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return f"{size} samples, {digest.hexdigest()}"


def _parts(value: Any) -> Iterator[bytes]:
    """The value as byte strings, kinds and shapes included."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().contiguous()
        yield f"{value.dtype} {list(value.shape)}".encode()
        yield value.reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(value, bytes):
        yield from (b"bytes", value)
    elif value is None or (isinstance(value, bool | int | float | complex | str) and not isinstance(value, np.generic)):
        yield f"{type(value).__name__} {value!r}".encode()
    elif isinstance(value, Mapping):
        yield f"mapping {len(value)}".encode()
        for key, inside in value.items():
            yield from _parts(key)
            yield from _parts(inside)
    elif isinstance(value, Sequence):
        yield f"sequence {len(value)}".encode()
        for inside in value:
            yield from _parts(inside)
    else:
        array = np.asarray(value)  # also images, by their array interface
        if array.dtype.hasobject:
            raise ArgumentError(
                "dataset", f"one with a {type(value).__name__} in a sample", "samples of tensors, arrays, images, "
                "numbers, text, bytes, None, and lists, tuples and dicts of these", "Give a text of your own instead.",
            )  # fmt: skip
        yield f"{array.dtype} {list(array.shape)}".encode()
        yield np.ascontiguousarray(array).tobytes()


@contextmanager
def fixed_generators() -> Iterator[None]:
    """Global generators of the host at a fixed seed inside, and as they were outside."""
    python, array, tensor = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        random.seed(0)
        np.random.seed(0)
        torch.default_generator.manual_seed(0)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(array)
        torch.set_rng_state(tensor)
