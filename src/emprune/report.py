"""What a run has done so far, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from emprune.table import ScoreTable


@dataclass(frozen=True)
class Report:
    """Accounting of a run up to now.

    Attributes:
        epochs: epochs begun; the running one counts whole, with several ranks once they have exchanged a part of it.
        num_epochs: length of the run.
        num_samples: N.
        samples_forward: samples that went through the model in training steps.
        samples_backward: samples that went through backward.
        steps: calls of ``Pruner.loss`` (or ``select_batch``, or ``observe`` of trained samples).
        realised_rate: 1 - samples_backward / (N·epochs), annealing and warm-up counted.
        seconds_selecting: wall time spent on making plans.
        never_trained: samples without any backward.
        quarantined: samples whose last loss or memory term was not finite.
        quarantined_ids: the first ten of them.
    """

    epochs: int
    num_epochs: int
    num_samples: int
    samples_forward: int
    samples_backward: int
    steps: int
    realised_rate: float
    seconds_selecting: float
    never_trained: int
    quarantined: int
    quarantined_ids: tuple[int, ...]


@dataclass(frozen=True)
class Totals:
    """What the score tables of all ranks count together: see :class:`Report`."""

    samples_backward: int
    never_trained: int
    quarantined: int
    quarantined_ids: tuple[int, ...]


def totals_of(table: ScoreTable) -> Totals:
    """Count; where the table is partitioned all ranks must call it."""
    times, quarantined = table.times_trained, table.quarantined
    here = int(times.sum(dtype=np.int64)), int(np.count_nonzero(times == 0)), len(quarantined)
    backward, never, bad = table.owned.counts(*here).sum(axis=0).tolist()
    return Totals(backward, never, bad, tuple(table.owned.all_gather(quarantined[:10])[:10].tolist()))


def summarise(totals: Totals, *, num_samples: int, epochs: int, **counters: Any) -> Report:
    """The report of what the tables count and of the pruner's counters, by the names of :class:`Report`."""
    rate = 1 - totals.samples_backward / (num_samples * epochs) if epochs else 0.0
    return Report(epochs=epochs, num_samples=num_samples, realised_rate=rate, **vars(totals), **counters)
