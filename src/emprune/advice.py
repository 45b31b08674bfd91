"""What could be left out: advice from an ordinary run that has been watched for a few epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emprune.errors import ArgumentError
from emprune.inspection import REMEMBERED, surely_wrong
from emprune.policies.emp import emp_score
from emprune.policies.gated import GatedEMP
from emprune.selection.effective import effective_fraction
from emprune.selection.rank_rules import lifted

if TYPE_CHECKING:
    from emprune.pruner import Pruner

_MOST = 0.7


@dataclass(frozen=True)
class Advice:
    """What an ordinary run has shown, and the prune rate that follows.

    Attributes:
        epochs: finished ones that were watched.
        num_epochs: length of the run.
        gap: the generalisation gap (H - S)/(H - m) of held-out and trained samples; NaN: not known.
        gap_error: its standard error.
        reliability: how much of a stored score is still there an epoch later, in [0, 1]; NaN: not known.
        gamma: the exponent that the default policy would take, from 3, which prefers the hard, to 0, which has
            no preference; NaN: not known.
        informative: effective part of the samples, (Σp)²/(N·Σp²), where they are drawn in proportion to score^gamma.
        remembered: part of the samples with a loss below log 2, of classifications those that are certainly right; NaN:
            none was seen.
        suspects: samples whose label has a probability below 1 % though the prediction is sure (memory term below
            0.5 nats), as wrong labels have once a network has learnt the rest.
        prune_rate: what could be left out from the next epoch on, at most 0.7; 0: nothing; NaN: not known.
        saved: part of the whole run's samples that this saves; NaN: not known.
    """

    epochs: int
    num_epochs: int
    gap: float
    gap_error: float
    reliability: float
    gamma: float
    informative: float
    remembered: float
    suspects: int
    prune_rate: float
    saved: float

    def __str__(self) -> str:
        """For people, a line a statement."""
        return (
            "\n".join(
                (
                    f"{self._verdict()}",
                    f"  generalisation gap {self.gap:.2f} ± {self.gap_error:.2f} (selecting stops to pay at 0.33)",
                    f"  reliability of scores {self.reliability:.2f}, exponent {self.gamma:.1f} of at most 3",
                    f"  {self.remembered:.0%} of the samples have a loss below log 2, {self.suspects} look mislabelled",
                )
            )
            .replace("nan%", "not known")
            .replace("nan", "not known")
        )

    def _verdict(self) -> str:
        seen = f"After {self.epochs} of {self.num_epochs} epochs:"
        if np.isnan(self.gap):
            return (
                f"{seen} the generalisation gap is not known. Call pruner.observe_held_out(losses) once an epoch, with "
                "losses that are above 0 on average."
            )
        if np.isnan(self.gamma):
            return f"{seen} too early to say; scores are compared from the second epoch on."
        if self.prune_rate == 0:
            return f"{seen} nothing should be left out; choosing the hard would not pay here."
        return (
            f"{seen} prune_rate={self.prune_rate:.1f} from now on, which saves {self.saved:.0%} of the run's samples; "
            f"{self.informative:.0%} of the samples carry what is left to learn."
        )


def advise(pruner: Pruner) -> Advice:
    """What could be left out of a run that has been watched: ``Pruner(N, prune_rate=0, num_epochs=E)`` [ours].

    At a prune rate of 0 every epoch trains all samples, in an order as random as any; nothing is changed. The
    generalisation gap needs losses of samples that are not trained, made as training losses are, once an epoch
    (:meth:`emprune.Pruner.observe_held_out`). Works in a pruned run too, whose policy is the default.

    Args:
        pruner: with the default policy; between epochs, or in the middle of one, which then does not count. Of a
            partitioned table all ranks must call it.

    Raises:
        ArgumentError: the pruner has another policy.
    """
    policy, table, epoch = pruner.policy, pruner.table, pruner.epoch
    if not isinstance(policy, GatedEMP):
        raise ArgumentError(
            "pruner", f"one with the policy {policy.name!r}", "one with the default policy",
            "Watch an ordinary run with Pruner(len(train_set), prune_rate=0, num_epochs=E).",
        )  # fmt: skip
    known = policy.known(table, epoch, pruner.num_epochs)
    seen = np.isfinite(table.loss)
    loss, memory = table.loss[seen], table.memory[seen]
    is_known = not np.isnan(known.gap.value + known.reliability.value)
    scores = emp_score(loss, memory, policy.beta)
    scores = lifted(scores, table.owned.lowest(scores)).astype(np.float64)
    largest = float(table.owned.all_gather(scores.max(initial=0.0, keepdims=True)).max()) or 1.0
    informative = effective_fraction([(scores / largest) ** known.gamma], table.owned) if is_known else np.nan
    rate = min(_MOST, max(0.0, np.floor(10 * (1 - informative)) / 10)) if is_known else np.nan
    count, remembered, suspects = table.owned.counts(
        len(loss), int((loss < REMEMBERED).sum()), int(surely_wrong(loss, memory).sum())
    ).sum(axis=0)
    return Advice(
        epochs=epoch, num_epochs=pruner.num_epochs, gap=known.gap.value, gap_error=known.gap.error,
        reliability=known.reliability.value, gamma=known.gamma if is_known else np.nan, informative=informative,
        remembered=float(remembered / count) if count else np.nan, suspects=int(suspects), prune_rate=float(rate),
        saved=float(rate * (pruner.num_epochs - epoch) / pruner.num_epochs),
    )  # fmt: skip
