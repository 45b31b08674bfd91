"""LabelledData, a classification set in memory, and what makes another training set of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from emprune.errors import ArgumentError
from emprune.seeding import generator
from emprune_lab.data.sets import DataSets

Split = Literal["test", "validation"]

_VALIDATION_SEED = 0


@dataclass(frozen=True)
class LabelledData:
    """A classification set in memory.

    Attributes:
        name: of the set.
        inputs, test_inputs: what a sample shows, N of them, indexed by a slice or by positions (int64 tensor).
        labels, test_labels: int64, shape [N]; ``labels`` are those trained on.
        true_labels: int64, shape [N], before label noise.
        class_names: C names; labels lie in [0, C).
    """

    name: str
    inputs: Any
    labels: torch.Tensor
    true_labels: torch.Tensor
    test_inputs: Any
    test_labels: torch.Tensor
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


Data = TypeVar("Data", bound=LabelledData)


def load_from(
    sets: DataSets[Data],
    name: str,
    data_dir: str | Path | None = None,
    *,
    split: Split = "test",
    train_size: int | None = None,
) -> Data:
    """Load a labelled data set by name.

    Args:
        sets: those to choose from.
        data_dir: the folder with its files, or that folder's parent; None: the environment's EMPRUNE_DATA,
            else where Debian installs it.
        split: what to evaluate on: "test", or "validation", a part of the published training set that is
            then never trained on, to choose settings by.
        train_size: train on that many samples, the first ones of the published order; None: all.

    Raises:
        ArgumentError: unknown name, split or size.
        DataError: a file is missing or is not the published one.
    """
    if split not in ("test", "validation"):
        raise ArgumentError("split", split, "'test' or 'validation'")
    data = sets.read(name, data_dir)
    if split == "validation":
        data = hold_out(data)
    return data if train_size is None else first_samples(data, train_size)


def with_label_noise(data: Data, fraction: float, seed: int) -> Data:
    """Replace the labels of round(fraction·N) training samples by another class, uniformly (symmetric noise).

    Args:
        fraction: in [0, 1].
        seed: which samples and which classes; the same for every policy of a seed.
    """
    if not 0 <= fraction <= 1:
        raise ArgumentError("label_noise", fraction, "a number in [0, 1], the fraction of wrong labels")
    rng = generator(seed, 0, "label noise")
    flipped = rng.choice(len(data), round(fraction * len(data)), replace=False)
    labels = data.true_labels.clone()
    shift = torch.from_numpy(rng.integers(1, data.num_classes, len(flipped)))
    labels[flipped] = (labels[flipped] + shift) % data.num_classes
    return replace(data, labels=labels)


def with_imbalance(data: Data, factor: float, seed: int) -> Data:
    """Make the training set long-tailed (Cui et al. 2019, arXiv:1901.05555; Cao et al. 2019, arXiv:1906.07413).

    Of a class, the samples that a larger factor keeps are among those that a smaller one keeps. The order of
    the samples and the test set stay as they are. Label noise, if any, comes afterwards.

    Args:
        factor: largest over smallest class of a set that was balanced, at least 1; 1: unchanged.
        seed: which samples; the same for every policy of a seed.

    Raises:
        ArgumentError: the factor is below 1 or not finite.
    """
    members = [np.flatnonzero(data.true_labels.numpy() == label) for label in range(data.num_classes)]
    counts = long_tail_counts([len(ids) for ids in members], factor)
    rng = generator(seed, 0, "class imbalance")
    drawn = [rng.permutation(ids)[:count] for ids, count in zip(members, counts, strict=True)]
    return _subset(data, torch.from_numpy(np.sort(np.concatenate(drawn))))


def as_trained(data: Data, *, imbalance: float, label_noise: float, seed: int) -> Data:
    """The set that a run trains on: first unbalanced, then mislabelled; see the two functions for the arguments."""
    return with_label_noise(with_imbalance(data, imbalance, seed), label_noise, seed)


def long_tail_counts(counts: Sequence[int], factor: float) -> list[int]:
    """Samples that each class keeps: ⌊n_c·factor^(−c/(C−1))⌋, at least 1 where there are any.

    The papers' n_max stands for every class, as their sets are balanced; here a class that has fewer keeps
    its share of what it has. Rounded down as in the code that belongs to the second paper.

    >>> long_tail_counts([5000] * 10, 100)
    [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    """
    if not 1 <= factor < float("inf"):
        raise ArgumentError("imbalance", factor, "a number of at least 1, the largest class over the smallest")
    last = max(1, len(counts) - 1)
    # Without the nudge, a share that is an integer in exact arithmetic could be rounded down to the one below.
    shares = [count * factor ** (-label / last) * (1 + 1e-12) for label, count in enumerate(counts)]
    return [min(count, max(1, int(share))) for count, share in zip(counts, shares, strict=True)]


def hold_out(data: Data) -> Data:
    """Replace the test set by a sixth of the training set, drawn once and for all."""
    order = torch.from_numpy(generator(_VALIDATION_SEED, 0, "validation split").permutation(len(data)))
    held, kept = order[: len(data) // 6], order[len(data) // 6 :].sort().values
    return replace(_subset(data, kept), test_inputs=data.inputs[held], test_labels=data.true_labels[held])


def first_samples(data: Data, train_size: int) -> Data:
    """Cut the training set off after ``train_size`` samples. Raises ArgumentError where there are fewer."""
    if not 1 <= train_size <= len(data):
        raise ArgumentError("train_size", train_size, f"an integer from 1 to {len(data)}")
    return _subset(data, slice(None, train_size))


def _subset(data: Data, kept: torch.Tensor | slice) -> Data:
    return replace(data, inputs=data.inputs[kept], labels=data.labels[kept], true_labels=data.true_labels[kept])
