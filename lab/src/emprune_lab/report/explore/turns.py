"""How often each sample has been trained, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emprune_lab.records.results import Counts
from emprune_lab.report.comparison import Comparison, policies_of, rates_of, shown_of
from emprune_lab.report.explorable import View, packed

_MOST_BINS = 40
_MOST_EPOCHS = 50
_STEPS = 2**16 - 1


def data(comparison: Comparison, room: float) -> dict[str, Any]:
    """Rate → policy → a histogram after each of some epochs, its mean, its s.d./mean and what was never trained.

    Histograms are shares of the samples of all seeds in units of 1/65,535, end to end, in bins of ``width`` counts.
    """
    counts = comparison.equal_counts
    most = max(int(one.times_trained.max()) for seeds in counts.values() for one in seeds)
    width = -(-(most + 1) // _MOST_BINS)
    cells: dict[str, dict[str, Any]] = {f"{rate:g}": {} for rate in rates_of(counts)}
    for (policy, rate), seeds in counts.items():
        histograms, epochs = histograms_of(seeds, most)
        cells.setdefault(f"{rate:g}", {})[policy] = {"epochs": epochs, **_packed(histograms, width)}
    policies = policies_of(counts)
    return {"width": width, "bins": most // width + 1, "cells": cells, "shown": shown_of(policies)}


def histograms_of(seeds: Sequence[Counts], most: int) -> tuple[NDArray[np.int64], list[int]]:
    """Samples of all seeds by how often they were trained, after each of some epochs.

    Args:
        most: the highest count of any run.

    Returns:
        int64, shape [e, most + 1], and the e epochs, counted from 1; the end alone, called epoch 0, where a
        seed has not kept more or has other epochs.
    """
    kept = [one.turns for one in seeds if one.turns is not None]
    if len(kept) < len(seeds) or len({len(one) for one in kept}) != 1:
        ends = np.concatenate([one.times_trained for one in seeds])
        return np.bincount(ends, minlength=most + 1)[None], [0]
    epochs = np.unique(np.linspace(1, len(kept[0]), min(len(kept[0]), _MOST_EPOCHS)).round().astype(int))
    pooled = np.zeros((len(epochs), most + 1), dtype=np.int64)
    for one in kept:
        pooled[:, : one.shape[1]] += one[epochs - 1]
    return pooled, epochs.tolist()


def _packed(histograms: NDArray[np.int64], width: int) -> dict[str, Any]:
    shares = histograms / histograms.sum(axis=1, keepdims=True)
    counts = np.arange(shares.shape[1])
    mean = shares @ counts
    spread = np.sqrt(np.maximum(shares @ counts**2 - mean**2, 0))
    whole = np.pad(shares, ((0, 0), (0, -shares.shape[1] % width))).reshape(len(shares), -1, width).sum(axis=2)
    said = {"mean": mean, "spread": spread / np.maximum(mean, 1e-9), "never": shares[:, 0]}
    rounded = {name: [float(f"{number:.4g}") for number in one] for name, one in said.items()}
    return {**rounded, "shares": packed(np.rint(whole * _STEPS).astype(np.int64))}


VIEW = View(
    name="turns",
    title="How often each sample is trained",
    caption="Percent of the samples by how often they had been trained until the epoch chosen, all seeds "
    "together. At one rate all policies spend the same number of samples, so the means (broken line) agree; the "
    "difference is on whom they spend them. s.d./mean says how uneven the turns are, also between rates, whose "
    "means differ. Low-Frequency Learning is the move to the left from a low to a high rate: even the samples "
    "ranked hardest get few turns. A bar cut off is named. Policies with a budget of their own are left out; "
    "runs of older versions have kept the end alone.",
    data=data,
    applies=lambda comparison: bool(comparison.equal_counts),
    replaces=("counts",),
    order=50,
)
