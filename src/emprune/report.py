"""What a run has done so far, in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
        samples_forward: samples that went through the model in steps and observations, in each pass over them.
        samples_backward: samples that went through backward, once an epoch however many passes there were.
        steps: calls of ``Pruner.loss`` (or ``select_batch``, or ``observe`` of trained samples).
        realised_rate: 1 - samples_backward / (N·epochs), annealing and warm-up counted; where the data set has grown,
            each epoch has an N of its own.
        seconds_selecting: wall time spent on making plans.
        never_trained: samples without any backward.
        quarantined: samples whose last loss or memory term was not finite.
        quarantined_ids: the first ten of them.
        decided: what the policy shows of the last epoch begun, by name, such as the exponent of "emp-gated", and what
            a rate that follows the scores followed; what is not known is left out.
        remark: what the policy says of a run of this length and rate; mostly nothing.
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
    decided: Mapping[str, float] = field(default_factory=dict, hash=False)
    remark: str = ""

    def __str__(self) -> str:
        """For people, on one line."""
        text = (
            f"{self.epochs} of {self.num_epochs} epochs, realised rate {self.realised_rate:.4g}: "
            f"{self.samples_backward} samples through backward, {self.samples_forward} forward, {self.steps} steps; "
            f"{self.seconds_selecting:.2g} s selecting; {self.never_trained} of {self.num_samples} never trained"
        )
        if self.decided:
            text += "; " + ", ".join(f"{name} {value:.2g}" for name, value in self.decided.items())
        if self.remark:
            text += f"; {self.remark}"
        if not self.quarantined:
            return text
        shown = ", ".join(map(str, self.quarantined_ids)) + (", …" if self.quarantined > 10 else "")
        return f"{text}; {self.quarantined} quarantined: {shown}"


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


def decided_in(table: ScoreTable, epoch: int, names: Iterable[str]) -> dict[str, float]:
    """Numbers of an epoch that a policy keeps in its table, by name; those that are not known (NaN) are left out."""
    numbers = {name: float(table.history(name)[epoch]) for name in names}
    return {name: value for name, value in numbers.items() if not np.isnan(value)}


def summarise(totals: Totals, *, samples_there: int, **counters: Any) -> Report:
    """The report of what the tables count and of the pruner's counters, by the names of :class:`Report`.

    Args:
        samples_there: the sum of N over the epochs that have begun.
    """
    rate = 1 - totals.samples_backward / samples_there if samples_there else 0.0
    return Report(realised_rate=rate, **vars(totals), **counters)
