"""A data set's fingerprint changes with its length and with each sample that it looks at."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import IterableDataset, TensorDataset

from emprune import ArgumentError
from emprune.checkpoint.fingerprint import fingerprint_of


class Image:
    """An image, as imaging libraries offer its pixels."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.__array_interface__ = pixels.__array_interface__
        self._pixels = pixels


class Pair(NamedTuple):
    first: Any
    second: Any


UNLIKE = [
    [torch.zeros(2)], [torch.zeros(3)], [torch.zeros(1, 2)], [torch.zeros(2, dtype=torch.float64)], [-torch.zeros(2)],
    [torch.zeros(2, dtype=torch.bfloat16)], [np.zeros(2)], [np.float32(0)], [np.float64(0)], [0], [0.0], [-0.0],
    [False], [None], [""], ["0"], [b""], [b"0"], [()], [(0,)], [(0, 0)], [((0,), 0)], [(0, (0,))], [{}], [{"a": 0}],
    [{"b": 0}], [{0: "a"}], [float("nan")], [0j], [Image(np.zeros((2, 2), "u1"))], [Image(np.ones((2, 2), "u1"))],
    [], [0, 0], [0, 1], [1, 0], [Pair(0, torch.ones(1))], [Pair(0, torch.ones(2))], [torch.zeros(0)], [2**100],
]  # fmt: skip


def test_unlike_data_sets_have_unlike_fingerprints() -> None:
    prints = [fingerprint_of(data) for data in UNLIKE]
    assert len(set(prints)) == len(UNLIKE)
    assert prints == [fingerprint_of(data) for data in UNLIKE]


def test_what_does_not_matter() -> None:
    assert fingerprint_of([(1, 2)]) == fingerprint_of([[1, 2]]) == fingerprint_of([Pair(1, 2)])
    assert fingerprint_of([{"a": 1}]) == fingerprint_of([OrderedDict(a=1)])
    grid = np.arange(6).reshape(2, 3).T
    assert fingerprint_of([grid]) == fingerprint_of([grid.copy()])
    turned = torch.arange(6.0).reshape(2, 3).T
    assert fingerprint_of([turned]) == fingerprint_of([turned.contiguous().requires_grad_()])


@given(st.integers(1, 200), st.integers(1, 100))
def test_first_last_and_evenly_spaced_samples_are_read(size: int, samples: int) -> None:
    read = []

    class Reading:
        def __len__(self) -> int:
            return size

        def __getitem__(self, index: int) -> int:
            read.append(index)
            return index

    assert fingerprint_of(Reading(), samples).startswith(f"{size} samples, ")
    assert len(read) == min(samples, size)
    assert read[0] == 0
    assert samples == 1 or read[-1] == size - 1
    assert all(type(index) is int for index in read)
    gaps = np.diff(read)
    assert not len(gaps) or 1 <= gaps.min() <= gaps.max() <= gaps.min() + 1


def test_every_change_that_resuming_should_notice() -> None:
    data = torch.randn(5000, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(5000) % 10
    changed = {
        "same": (data.clone(), labels.clone()), "shrunk": (data[:-1], labels[:-1]), "reversed": (data.flip(0), labels),
        "rotated": (data.roll(1, 0), labels.roll(1)), "labels": (data, (labels + 1) % 10), "scaled": (data * 2, labels),
        "half": (data.half(), labels),
    }  # fmt: skip
    prints = {name: fingerprint_of(TensorDataset(*tensors)) for name, tensors in changed.items()}
    assert prints.pop("same") == fingerprint_of(TensorDataset(data, labels))
    assert fingerprint_of(TensorDataset(data, labels)) not in prints.values()
    assert len(set(prints.values())) == len(prints)


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[int]:
        return iter(range(3))


@pytest.mark.parametrize(
    ("data", "samples", "message"),
    [
        (Stream(), 64, "dataset is 'Stream'; allowed: a map-style dataset"),
        ({1, 2}, 64, "dataset is 'set'; allowed: a map-style dataset"),
        ([object()], 64, r"dataset is 'one with a object in a sample'; .* Give a text of your own"),
        ([{"a": {1}}], 64, "'one with a set in a sample'"),
        ([0], 0, "samples is 0; allowed: an integer of at least 1"),
    ],
)
def test_what_has_no_fingerprint_is_named(data: Any, samples: int, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        fingerprint_of(data, samples)
