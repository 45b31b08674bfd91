"""KAKURENBO (Nguyen et al. 2023, arXiv:2310.10102): hide what is learnt and sure, and step further on the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emprune.checks import number
from emprune.errors import ArgumentError
from emprune.policies.base import Policy, Request
from emprune.selection import Selection
from emprune.selection.topk import smallest
from emprune.table import Observations, ScoreTable

_REDUCTION = ((3, 10), (6, 8), (8, 6), (10, 4))
"""Until which tenth of the run how many tenths of the rate may be hidden."""


@dataclass(repr=False)
class Kakurenbo(Policy):
    """Hide those of the ⌊F_e·N⌋ lowest losses that are predicted right with confidence τ or more.

    Nguyen et al., arXiv:2310.10102 (NeurIPS 2023), and its released code. The other candidates
    are moved back to the training list, so that an epoch hides F_e at most: this is the published rule,
    not one of exact rate, and its number of samples is not known beforehand. At an exact k nothing
    but LFL and a learning rate would be left of it: with plain cross-entropy and τ ≥ 0.5 "right with
    confidence τ" is L ≤ -ln τ, so that the order of the losses decides alone.

    - F_e is the pruner's rate times 1, 0.8, 0.6, 0.4 from 0, 30, 60, 80 % of the run on (``reduce``).
    - The learning rate is multiplied by :meth:`learning_rate_factor`.
    - The losses of hidden samples are refreshed by a forward pass after each epoch (``observes_pruned``).
    - Samples never seen are never hidden; quarantined ones always are.

    It reads ``confidence``, which :func:`emprune.scoring.confidence` gives, and keeps each sample's last value in a
    column of that name. Of a task without classes any number in [0, 1] serves that is high where a sample is learnt,
    such as exp(-L).

    Departures from the released code: it normalises confidence over the batch instead of the classes; it
    raises the learning rate by 1/(1 - F_e) also where fewer samples are hidden; ties at the F_e·N-th loss
    are broken at random here.

    Args:
        tau: τ in (0, 1], least confidence of a hidden sample.
        reduce: whether F_e falls during the run; else it is the pruner's rate throughout.
    """

    tau: float = 0.7
    reduce: bool = True

    name = "kakurenbo"
    source = "Nguyen et al. 2023, arXiv:2310.10102 (hides at most the rate asked for)"
    inputs = ("loss", "confidence")
    columns: ClassVar[dict[str, float]] = {"confidence": 0.0}
    observes_pruned = True

    def __post_init__(self) -> None:
        self.tau = number("tau", self.tau, "a number in (0, 1]", lambda tau: 0 < tau <= 1)
        if not isinstance(self.reduce, bool):
            raise ArgumentError("reduce", self.reduce, "True or False")

    def epoch_size(self, num_samples: int, k: int) -> None:
        return None

    def learning_rate_factor(self, kept: int, num_samples: int) -> float:
        """1/(1 - F), with F the part that the epoch hides: as many times more as there are fewer steps."""
        return num_samples / kept

    def update(self, table: ScoreTable, seen: Observations) -> None:
        table.column("confidence")[seen.ids] = seen.extra["confidence"]

    def select(self, request: Request) -> Selection:
        table = request.table
        hidden = np.isnan(table.loss)
        candidates = smallest(table.loss, self._most_hidden(request), request.rng())
        hidden[candidates] |= table.extra["confidence"][candidates] >= self.tau
        if hidden.all():  # nothing but quarantined samples
            hidden[:] = False
        return Selection(np.flatnonzero(~hidden))

    def _most_hidden(self, request: Request) -> int:
        most = len(request.table) - request.k
        if not self.reduce:
            return most
        return next(most * tenths // 10 for end, tenths in _REDUCTION if 10 * request.epoch < end * request.num_epochs)
