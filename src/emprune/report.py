"""What a run has done so far, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emprune.scores import ScoreTable


@dataclass(frozen=True)
class Report:
    """Accounting of a run up to now.

    Attributes:
        epochs: epochs begun, of ``num_epochs``; the running one counts whole.
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


def summarise(
    table: ScoreTable, *, epochs: int, num_epochs: int, samples_forward: int, steps: int, seconds: float
) -> Report:
    """Build the report from the table and the pruner's counters."""
    backward = int(table.times_trained.sum(dtype=np.int64))
    quarantined = table.quarantined
    return Report(
        epochs=epochs,
        num_epochs=num_epochs,
        num_samples=len(table),
        samples_forward=samples_forward,
        samples_backward=backward,
        steps=steps,
        realised_rate=1 - backward / (len(table) * epochs) if epochs else 0.0,
        seconds_selecting=seconds,
        never_trained=int(np.count_nonzero(table.times_trained == 0)),
        quarantined=len(quarantined),
        quarantined_ids=tuple(quarantined[:10].tolist()),
    )
