"""AutoRate: a rate that follows training, so that an epoch keeps as many samples as are effectively informative."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emprune.checks import number
from emprune.errors import ArgumentError
from emprune.policies.base import InBatchPolicy, Policy
from emprune.policies.emp import emp_score
from emprune.selection.effective import effective_fraction
from emprune.table import INFORMATIVE, ScoreTable

AUTO = "auto"
_CHUNK = 65_536


@dataclass(frozen=True)
class AutoRate:
    """A prune rate that follows the scores: ``prune_rate="auto"`` stands for ``AutoRate()`` [ours].

    With s = L + M, a sample's last loss and memory term in nats (L alone where there is none), an epoch keeps

        k = round(ESS),    ESS = (Σ s)² / Σ s²,

    the effective sample size of the scores, within bounds. Samples never seen are taken to be like the seen ones, so
    that an epoch before which nothing is known keeps the most; quarantined samples count for nothing. Scores below
    zero, as of a density's loss, are raised by as much as the lowest of them lies below it. It is the same measure for
    every policy, whatever rule and exponent it then selects the k samples by.

    With a ``target`` the run trains exactly ``round((1 - target)·samples of all epochs)``, full epochs of warm-up and
    annealing counted, and the scores decide the share of each epoch alone: of what is left of this budget it takes its
    own ESS over the sum of this and of those that :func:`forecast` expects of later epochs.

    Args:
        lowest: the least that an epoch prunes, in [0, 1). With 0 the first epoch is full, and a policy that measures on
            samples never seen (``emp-gated``) has none.
        highest: the most that an epoch prunes, in [0, 1).
        target: rate of the whole run, from ``lowest`` to ``highest`` where no epoch is full; None: as it comes.

    Raises:
        ArgumentError: a value is out of range.
    """

    lowest: float = 0.1
    highest: float = 0.95
    target: float | None = None

    def __post_init__(self) -> None:
        names = ["lowest", "highest", *(["target"] if self.target is not None else [])]
        for name in names:
            value = number(name, getattr(self, name), "a number in [0, 1)", lambda rate: 0 <= rate < 1)
            object.__setattr__(self, name, float(value))
        if self.lowest > self.highest:
            raise ArgumentError("lowest", self.lowest, f"at most {self.highest}, the highest rate of an epoch")

    def as_json(self) -> dict[str, Any]:
        """As a fingerprint holds it; :meth:`from_json` reads it."""
        return {AUTO: asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> AutoRate:
        """From what :meth:`as_json` gave. KeyError or TypeError for anything else."""
        return cls(**value[AUTO])


def check_follows(policy: Policy, num_samples: int) -> None:
    """Raise ArgumentError unless the number of samples of the policy's epochs can follow from scores."""
    if not policy.looks_at_scores:
        raise ArgumentError(
            "policy", policy.name, f'one that looks at scores, such as "emp", with prune_rate="{AUTO}"',
            "Nothing tells it how many samples are informative: give it a number as prune_rate.",
        )  # fmt: skip
    probe = max(1, num_samples // 2)
    if not isinstance(policy, InBatchPolicy) and policy.epoch_size(num_samples, probe) != probe:
        raise ArgumentError(
            "policy", policy.name, f'one that keeps as many samples as it is asked for, with prune_rate="{AUTO}"',
            "Its own rule decides how many: give it a number as prune_rate, or take a policy of an exact rate.",
        )  # fmt: skip
    if INFORMATIVE in {*policy.history, *policy.columns}:
        raise ArgumentError("history", INFORMATIVE, "another name: the pruner notes the effective part under this one")


def informative(table: ScoreTable) -> float:
    """ESS / n of the n samples that have been seen: see :class:`AutoRate`.

    Returns:
        In [0, 1]; NaN where none has been seen. Of a partitioned table that of all ranks, which must all call it.
    """
    low = table.owned.lowest(np.array([part.min(initial=0) for part in _seen(table)], dtype=np.float32))
    return effective_fraction((part - np.float64(low) for part in _seen(table)), table.owned)


def _seen(table: ScoreTable) -> Iterator[NDArray[np.float32]]:
    """L + M of the samples of this rank that have been seen and are not quarantined, in parts that stay small."""
    for begin in range(0, len(table), _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        loss = table.loss[rows]
        usable = np.isfinite(loss)
        yield emp_score(loss[usable], table.memory[rows][usable], beta=1.0)


def kept_of(rate: AutoRate, table: ScoreTable, epoch: int, left: Sequence[int], least: int, most: int) -> int:
    """k of an epoch that begins; what it follows is noted in the table. Of several ranks all must call it.

    Args:
        left: what the schedule has for this epoch and for each later one that follows the scores.
        least, most: bounds of k.
    """
    fractions = table.history(INFORMATIVE)
    fractions[epoch] = informative(table)
    if rate.target is not None:
        return share_of(fractions[: epoch + 1], sum(left), len(left), least, most)
    usable = table.owned.num_samples - table.owned.count(np.isnan(table.loss))
    return count_of(float(fractions[epoch]), usable, least, most)


def count_of(fraction: float, usable: int, least: int, most: int) -> int:
    """k of an epoch: the effective samples, halves rounded up, within bounds; all usable ones where nothing is known.

    Args:
        fraction: as :func:`informative` gives it.
        usable: samples that are not quarantined.
        least, most: bounds of k.

    >>> count_of(0.45, 1000, 100, 900), count_of(float("nan"), 1000, 100, 900)
    (450, 900)
    """
    wanted = usable if math.isnan(fraction) else math.floor(fraction * usable + 0.5)
    return min(max(wanted, least), most)


def share_of(fractions: NDArray[np.float64], left: int, epochs: int, least: int, most: int) -> int:
    """k of an epoch out of a budget that it and later epochs are to meet exactly.

    Args:
        fractions: float64, shape [epoch + 1]: what :func:`informative` gave before each epoch up to this one, NaN where
            nothing was known or asked.
        left: samples that are left for this epoch and the later ones.
        epochs: how many these are, this one among them.
        least, most: bounds of each one's k; ``left`` lies within ``epochs`` times these.

    >>> share_of(np.array([np.nan]), 1000, 10, 1, 1000)
    100
    """
    expected = forecast(fractions, epochs)
    whole = float(expected.sum())
    wanted = math.floor(left * (float(expected[0]) / whole if whole > 0 else 1 / epochs) + 0.5)
    low, high = max(least, left - (epochs - 1) * most), min(most, left - (epochs - 1) * least)
    return min(max(wanted, low), high)


def forecast(fractions: NDArray[np.float64], epochs: int) -> NDArray[np.float64]:
    """float64, shape [epochs]: the effective part of the samples now, and what is expected of later epochs.

    That is a power of the epoch's number, fitted by least squares in the logarithms to what is known so far; its
    exponent is not above 0. Where fewer than two epochs are known, as it is now.

    Args:
        fractions: as for :func:`share_of`.

    >>> forecast(np.array([np.nan, 0.8, 0.4]), 3).round(3)
    array([0.4  , 0.267, 0.2  ])
    """
    now = len(fractions) - 1
    known = np.flatnonzero(np.nan_to_num(fractions[1:]) > 0) + 1
    if np.isnan(fractions[now]) or len(known) < 2:
        return np.full(epochs, np.nan_to_num(fractions[now], nan=1.0))
    x, y = np.log(known), np.log(fractions[known])
    exponent = min(0.0, float((x - x.mean()) @ (y - y.mean()) / ((x - x.mean()) @ (x - x.mean()))))
    expected: NDArray[np.float64] = np.exp(y.mean() + exponent * (np.log(np.arange(now, now + epochs)) - x.mean()))
    expected[0] = fractions[now]
    return expected
