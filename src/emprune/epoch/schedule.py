"""How many samples each epoch keeps: integer arithmetic, known before training starts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from emprune.checks import integer, number, plain
from emprune.epoch.auto_rate import AUTO, AutoRate
from emprune.errors import ArgumentError

PruneRate = float | Sequence[float] | Callable[[int], float] | AutoRate | Literal["auto"]
Budget = Literal["epoch", "run"]

MOST_SAMPLES = 2**32
"""An id fits into 32 bits, which the order shuffle of a weighted plan relies on."""


@dataclass(frozen=True)
class Schedule:
    """How many samples each epoch of a run keeps, and of how many; the latter differ where the data set has grown.

    Attributes:
        kept: E counts. Of an epoch that has not begun, whose rate follows the scores: the most that it may keep, or its
            even share of the run's target.
        num_samples: E counts, the data set's sizes.
    """

    kept: tuple[int, ...]
    num_samples: tuple[int, ...]

    def first(self, epochs: int) -> Schedule:
        """That of the first epochs alone."""
        return Schedule(self.kept[:epochs], self.num_samples[:epochs])


def kept_count(num_samples: int, prune_rate: float) -> int:
    """k = round((1 - r)·N), halves rounded up: the samples that an epoch keeps.

    Args:
        num_samples: N ≥ 1.
        prune_rate: r, the fraction left out, in [0, 1).

    Raises:
        ArgumentError: r is outside [0, 1) or so high that no sample is kept.

    >>> kept_count(50_000, 0.7)
    15000
    """
    allowed = "a number in [0, 1), the fraction left out"
    prune_rate = number("prune_rate", prune_rate, allowed, lambda rate: 0 <= rate < 1)
    kept = _rounded(num_samples, prune_rate)
    if kept < 1:
        most = 1 - 1 / num_samples
        raise ArgumentError(
            "prune_rate", prune_rate, f"at most {most:.6g} for {num_samples} samples",
            "This rate keeps no sample.",
        )  # fmt: skip
    return kept


def _rounded(num_samples: int, prune_rate: float) -> int:
    # The subtraction 1 - r is inexact (1 - 0.9 < 0.1); pruned samples are counted instead.
    return num_samples - math.ceil(round(prune_rate * num_samples, 6) - 0.5)


def bounds(rate: AutoRate, num_samples: int) -> tuple[int, int]:
    """The fewest, 1 at least, and the most samples that an epoch keeps whose rate follows the scores."""
    return max(1, _rounded(num_samples, rate.highest)), max(1, _rounded(num_samples, rate.lowest))


def following(num_epochs: int, warmup_epochs: int, anneal: float) -> range:
    """The epochs between those that are full at the start and at the end."""
    return range(warmup_epochs, num_epochs - math.floor(anneal * num_epochs + 0.5))


def kept_per_epoch(
    num_samples: int,
    num_epochs: int,
    prune_rate: PruneRate,
    *,
    warmup_epochs: int = 0,
    anneal: float = 0.0,
    budget: Budget = "epoch",
    begun: Schedule | None = None,
) -> tuple[int, ...]:
    """The number of samples kept in each epoch of a run.

    Args:
        num_samples: N ≥ 1.
        num_epochs: E ≥ 1.
        prune_rate: r in [0, 1); or one rate per epoch, as a sequence of length E or a function of
            the epoch, which then says everything (no warm-up, annealing or run budget beside it). Or "auto" or
            an :class:`AutoRate`: what an epoch keeps follows from the scores when it begins. Until then the most that
            it may keep stands for it, or its even share of the target, so that the sum is what the run may train.
        warmup_epochs: first epochs on all the data.
        anneal: δ in [0, 1): the last round(δ·E) epochs use all the data (InfoBatch, arXiv:2303.04947,
            uses 0.125).
        budget: "epoch": each pruned epoch keeps round((1 - r)·N), full epochs come on top. "run": the
            whole run, full epochs included, trains exactly round((1 - r)·N·E) samples.
        begun: the first epochs, at most E, by the settings that held then: they stay as they were, the settings
            given here say the rest. What they have spent of a run's budget counts.

    Returns:
        E counts, each in [1, N].

    Raises:
        ArgumentError: a value is out of range, or the run's budget cannot pay for the full epochs.

    >>> kept_per_epoch(100, 4, 0.7, anneal=0.25)
    (30, 30, 30, 100)
    >>> kept_per_epoch(100, 4, 0.5, anneal=0.25, budget="run")
    (33, 34, 33, 100)

    Two epochs more for a run of two:

    >>> kept_per_epoch(100, 4, 0.5, anneal=0.25, budget="run", begun=Schedule((30, 30), (100, 100)))
    (30, 30, 40, 100)
    """
    done = begun or Schedule((), ())
    num_samples = integer("num_samples", num_samples, 1)
    num_epochs = integer("num_epochs", num_epochs, 1)
    warmup_epochs = integer("warmup_epochs", warmup_epochs, 0)
    anneal = checked_anneal(anneal)
    if num_samples > MOST_SAMPLES:
        raise ArgumentError("num_samples", num_samples, f"at most {MOST_SAMPLES}")
    if budget not in ("epoch", "run"):
        raise ArgumentError("budget", budget, "'epoch' or 'run'")
    prune_rate = rates_of(prune_rate, num_epochs)
    if isinstance(prune_rate, list):
        if warmup_epochs or anneal or budget != "epoch":
            raise ArgumentError(
                "prune_rate", "one rate per epoch", "warmup_epochs=0, anneal=0 and budget='epoch'",
                "A rate per epoch already says which epochs are full: give those the rate 0.",
            )  # fmt: skip
        return done.kept + tuple(kept_count(num_samples, rate) for rate in prune_rate[len(done.kept) :])
    if isinstance(prune_rate, AutoRate) and budget != "epoch":
        raise ArgumentError(
            "budget", budget, "'epoch' with a prune_rate that follows the scores",
            "AutoRate(target=0.7) is the rate of the whole run.",
        )  # fmt: skip
    last_full = num_epochs - following(num_epochs, warmup_epochs, anneal).stop
    pruned_epochs = num_epochs - warmup_epochs - last_full
    if pruned_epochs < 0:
        raise ArgumentError(
            "warmup_epochs", warmup_epochs, f"at most {num_epochs - last_full} beside {last_full} annealing epochs"
        )
    rest = num_epochs - len(done.kept)
    warmup_left, last_full = max(0, warmup_epochs - len(done.kept)), min(last_full, rest)
    pruned_epochs = rest - warmup_left - last_full
    of_run, spent, full = sum(done.num_samples) + num_samples * rest, sum(done.kept), warmup_left + last_full
    if isinstance(prune_rate, AutoRate):
        middle = _most_or_shares(prune_rate, of_run, spent, full, pruned_epochs, num_samples)
    elif budget == "epoch":
        middle = (kept_count(num_samples, prune_rate),) * pruned_epochs
    else:
        kept_count(num_samples, prune_rate)
        middle = _spread_budget(kept_count(of_run, prune_rate), spent, full, pruned_epochs, num_samples, prune_rate)
    return done.kept + (num_samples,) * warmup_left + middle + (num_samples,) * last_full


def _spread_budget(
    total: int, spent: int, full_epochs: int, pruned_epochs: int, num_samples: int, prune_rate: float
) -> tuple[int, ...]:
    """Split what is spent, and what the full epochs will, leave of the run's budget evenly, exact to the sample."""
    left = total - spent - num_samples * full_epochs
    if left < pruned_epochs or left > num_samples * pruned_epochs:
        gone = f"{spent} are trained already; " if spent else ""
        raise ArgumentError(
            "prune_rate", prune_rate, "a rate whose budget pays for every full epoch and one sample in every other",
            f"The run may train {total} samples; {gone}{full_epochs} full epochs of {num_samples} leave "
            f"{left} for {pruned_epochs} pruned ones. Lower prune_rate, anneal or warmup_epochs"
            + (", or take budget='epoch'." if spent else "."),
        )  # fmt: skip
    return _evenly(left, pruned_epochs)


def _most_or_shares(
    rate: AutoRate, of_run: int, spent: int, full_epochs: int, pruned_epochs: int, num_samples: int
) -> tuple[int, ...]:
    """What stands for epochs that follow the scores: the most that each may keep, or even shares of what is left.

    Args:
        of_run: samples of all epochs, of which the target is a rate.
    """
    least, most = bounds(rate, num_samples)
    if rate.target is None:
        return (most,) * pruned_epochs
    total = kept_count(of_run, rate.target)
    left = total - spent - num_samples * full_epochs
    if not least * pruned_epochs <= left <= most * pruned_epochs:
        gone = f"{spent} are trained already; " if spent else ""
        raise ArgumentError(
            "target", rate.target, f"a rate of the run that its epochs can meet with rates from {rate.lowest:g} to "
            f"{rate.highest:g}",
            f"The run may train {total} samples; {gone}{full_epochs} full epochs of {num_samples} leave {left} for "
            f"{pruned_epochs} of {least} to {most}. Change the target, or widen lowest or highest.",
        )  # fmt: skip
    return _evenly(left, pruned_epochs)


def _evenly(total: int, parts: int) -> tuple[int, ...]:
    ends = [(total * (i + 1) + parts // 2) // parts for i in range(parts)]
    return tuple(end - start for start, end in zip([0, *ends], ends, strict=False))


def rates_of(prune_rate: PruneRate | Mapping[str, Any], num_epochs: int) -> float | list[float] | AutoRate:
    """The rate, or a list of one for each epoch, as Python's numbers, whose range is checked elsewhere; or an AutoRate.

    Args:
        prune_rate: as the pruner takes it, or as a fingerprint holds it.

    Raises:
        ArgumentError: it is neither a number nor E of them, nor "auto".

    >>> rates_of(lambda epoch: epoch / 4, 3), rates_of(0.5, 3), rates_of("auto", 3)
    ([0.0, 0.25, 0.5], 0.5, AutoRate(lowest=0.1, highest=0.95, target=None))
    """
    if isinstance(prune_rate, AutoRate):
        return prune_rate
    if isinstance(prune_rate, str) and prune_rate == AUTO:
        return AutoRate()
    if isinstance(prune_rate, Mapping) and isinstance(prune_rate.get(AUTO), Mapping):
        return AutoRate.from_json(prune_rate)
    rates: Any = plain(prune_rate)
    if callable(rates):
        rates = [rates(epoch) for epoch in range(num_epochs)]
    elif isinstance(rates, np.ndarray | torch.Tensor):
        rates = rates.tolist()
    if isinstance(rates, str) or not isinstance(rates, Sequence):
        allowed = f'a number in [0, 1), one rate per epoch, "{AUTO}" or an AutoRate'
        return number("prune_rate", rates, allowed, lambda rate: True)
    if len(rates) != num_epochs:
        raise ArgumentError("prune_rate", f"{len(rates)} rates", f"one rate for each of {num_epochs} epochs")
    return [plain(rate) for rate in rates]


def checked_anneal(anneal: float) -> float:
    """δ as Python's number. Raises ArgumentError where it is none in [0, 1)."""
    allowed = "a number in [0, 1), the fraction of epochs at the end that are full"
    return number("anneal", anneal, allowed, lambda value: 0 <= value < 1)
