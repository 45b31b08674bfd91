"""What a policy is: the interface that built-in and users' own policies share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.errors import ArgumentError
from emprune.seeding import generator
from emprune.selection.quotas import Quotas
from emprune.selection.rank_rules import RankRules, Selection, lifted
from emprune.table import Observations, ScoreTable


@dataclass(frozen=True)
class Request:
    """What the pruner asks a policy for, once an epoch, and the rules to answer it with.

    A rule called on the request selects k samples, also where each rank holds a part of the table alone. Where the run
    weighs its samples, ``uniform`` and ``sample`` multiply a sample's probability at each draw by its weight, ``top``
    ranks by what it is given (:meth:`weighted` multiplies that), and no rule takes a sample of weight 0. Where it has
    class quotas, they select from each class what its quota says.

    Attributes:
        table: what training has shown so far; read-only for the policy, but for its history.
        k: how many samples to keep, 1 ≤ k ≤ N.
        epoch: from 0.
        num_epochs: length of the run.
        prune_rate: 1 - k/N of this epoch.
        seed: the run's seed; draw from :meth:`rng` instead.
        quotas: of the classes; None: none.
        kept_columns: what the policy has asked to :meth:`keep`.
    """

    table: ScoreTable
    k: int
    epoch: int
    num_epochs: int
    seed: int
    quotas: Quotas | None = None
    kept_columns: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def prune_rate(self) -> float:
        return 1 - self.k / self.num_samples

    @property
    def num_samples(self) -> int:
        """N, of which the table holds this rank's rows."""
        return self.table.owned.num_samples

    def rng(self, purpose: str = "select", *, every_epoch: bool = True) -> np.random.Generator:
        """A generator for this epoch; with ``every_epoch=False`` the same one in all epochs."""
        return generator(self.seed, self.epoch if every_epoch else -1, purpose)

    def keep(self, name: str, values: NDArray[np.float32]) -> None:
        """Replace a column of the policy's own together with the plan; :meth:`Policy.select` itself must write none.

        Args:
            name: a key of ``Policy.columns``.
            values: float32, shape [rows].
        """
        self.kept_columns[name] = values

    def uniform(self, *, every_epoch: bool = True) -> Selection:
        """k samples, every subset equally likely unless samples are weighed; the same ones in all epochs by choice."""
        return self._rules(every_epoch).uniform()

    def top(self, scores: NDArray[np.float32]) -> Selection:
        """The k highest scores; see :func:`emprune.selection.top`."""
        return self._rules().top(scores)

    def sample(self, scores: NDArray[np.float32], *, gamma: float = 1.0) -> Selection:
        """k samples, probability proportional to score^γ; see :func:`emprune.selection.sample`."""
        return self._rules().sample(scores, gamma=gamma)

    def threshold(
        self,
        scores: NDArray[np.float32],
        *,
        below_share: float = 0.8,
        weight_sum: Literal["kept", "all"] = "kept",
    ) -> Selection:
        """All above a threshold, a reweighted part of the rest; see :func:`emprune.selection.threshold`."""
        return self._reweighting_rules().threshold(scores, below_share=below_share, weight_sum=weight_sum)

    def threshold_published(self, scores: NDArray[np.float32]) -> Selection:
        """InfoBatch's rule at this epoch's rate; see :func:`emprune.selection.threshold_published`."""
        return self._reweighting_rules().threshold_published(scores, self.prune_rate)

    def weighted(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, shape [rows]: the scores times the samples' weights, for ``top``; as they are without any.

        Scores count from the lowest where one is below zero; +inf and NaN stay. All ranks must call it.
        """
        weight = self.table.sample_weight
        if weight is None:
            return scores
        raised = lifted(scores, self.table.owned.lowest(scores))
        return np.multiply(raised, weight, where=~np.isinf(raised), out=raised)

    def _rules(self, every_epoch: bool = True) -> RankRules:
        table = self.table
        rng = self.rng(every_epoch=every_epoch)
        return RankRules(table.owned, self.k, rng, table.log_weights(), self.quotas)

    def _reweighting_rules(self) -> RankRules:
        for name, given in (("sample_weight", self.table.sample_weight), ("quotas", self.quotas)):
            if given is not None:
                raise ArgumentError(
                    name, "given", "None with a rule that makes up for its choice by weights of the loss",
                    "Choose by request.sample or request.top instead.",
                )  # fmt: skip
        return self._rules()


@dataclass(frozen=True)
class BatchRequest:
    """What the pruner asks an in-batch policy for, once a batch.

    Attributes:
        inputs: the values that the policy reads, by name, detached: "loss" and "memory" float32, shape [B], on the
            loss's device; others as given to the pruner, floating point, shape [B, ...].
        k: this batch's share of the epoch's samples, 0 ≤ k < B; the shares of an epoch add up exactly.
        rng: a generator of this batch's own.
    """

    inputs: Mapping[str, torch.Tensor]
    k: int
    rng: np.random.Generator

    @property
    def loss(self) -> torch.Tensor:
        """float32, shape [B]."""
        return self.inputs["loss"]


@dataclass(frozen=True)
class BatchSelection:
    """Which samples of a batch go through backward.

    Attributes:
        positions: int64, shape [b], distinct positions within the batch, on the loss's device; None: all.
        weights: float32, shape [b], factor of each one's loss; None: ones.
    """

    positions: torch.Tensor | None = None
    weights: torch.Tensor | None = None


class Policy:
    """Chooses the samples of an epoch. Subclass it and override :meth:`select`.

    Attributes:
        name: as it is called in the registry, reports and saved state. A subclass without a name of its own shares no
            saved state with its parent either: its class's name is saved too.
        source: where the rule comes from.
        inputs: names of the values that the policy reads of each step, as :meth:`emprune.Pruner.loss` is given them:
            "loss", "memory", or any other, for instance "confidence". Loss and memory term are columns of the score
            table; others reach :meth:`update`, float32, shape [M], as ``seen.extra[name]``.
        memory_is_optional: True where it may be left out of all steps of a run (``table.memory`` is NaN then), though
            it is among the ``inputs``; in some steps it may not.
        observes_pruned: True where the training loop should also forward the samples that an epoch pruned
            (``EpochPlan.pruned_ids``) at its end and pass their values to :meth:`emprune.Pruner.observe`.
        updated_by_training_alone: True where :meth:`update` is to see what training steps observed, and nothing of
            :meth:`emprune.Pruner.observe`; a sample's last observation may be of either otherwise.
        looks_at_scores: False where it chooses without what training has shown: then no rate can follow from that
            (:class:`emprune.AutoRate`).
        partitionable: True where :meth:`select` works on the rows of one rank: it computes scores row by row, and
            leaves what needs all ranks' rows to the rules of the request.
        honours: which of the pruner's "sample_weight" and "quotas" the policy does justice to: those whose
            :meth:`select` chooses by the rules of the request alone. What it does not honour is refused.
        streams: True where :meth:`select` goes by the table's loss and memory term alone, not by epochs or ids: then it
            can choose within a batch of a stream (:class:`emprune.BatchPruner`), whose fresh values are the table.
        columns: names and initial values of further float32 columns that the score table holds for the
            policy; :meth:`update` writes them, and they are saved with the table.
        history: names and initial values of float64 numbers an epoch that the score table holds for the policy, by
            ``table.history(name)``, shape [E]; :meth:`select` and :meth:`update` write those of their epoch, and they
            are saved with the table.
        shown: names among them that :meth:`emprune.Pruner.metrics` gives.
    """

    name: ClassVar[str] = "policy"
    source: ClassVar[str] = "user code"
    inputs: ClassVar[tuple[str, ...]] = ("loss",)
    memory_is_optional: ClassVar[bool] = False
    observes_pruned: ClassVar[bool] = False
    updated_by_training_alone: ClassVar[bool] = False
    looks_at_scores: ClassVar[bool] = True
    partitionable: ClassVar[bool] = False
    honours: ClassVar[tuple[str, ...]] = ()
    streams: ClassVar[bool] = False
    columns: ClassVar[Mapping[str, float]] = {}
    history: ClassVar[Mapping[str, float]] = {}
    shown: ClassVar[tuple[str, ...]] = ()

    def select(self, request: Request) -> Selection:
        """k distinct ids, with weights if the rule has any. Called once an epoch, not for full ones.

        A *static* policy returns the same subset each time: from scores given to its constructor, or
        from ``request.rng(every_epoch=False)``. Of a partitioned table: rows of this rank, k on all ranks.
        """
        raise NotImplementedError(f"{type(self).__name__} must override select, or subclass InBatchPolicy.")

    def before_full_epoch(self, request: Request) -> None:
        """Called instead of :meth:`select` for an epoch of all samples; may write history and :meth:`Request.keep`."""

    def update(self, table: ScoreTable, seen: Observations) -> None:
        """Write the policy's own columns, by ``table.column(name)[seen.ids] = ...``, or its history of ``seen.epoch``.

        Called whenever observations move into the table, before they replace its last values.

        Args:
            seen: finite observations of one epoch; ids are distinct (of repeated ones, the last).
        """

    def observe_held_out(self, table: ScoreTable, epoch: int, losses: NDArray[np.float64]) -> None:
        """Write to the history of the running epoch what losses of samples that are never trained say; see the pruner.

        Args:
            losses: finite, shape [M], M ≥ 1, the same on all ranks.
        """

    def honoured(self) -> tuple[str, ...]:
        """``honours``, or less of it where that depends on settings."""
        return self.honours

    def learning_rate_factor(self, kept: int, num_samples: int) -> float:
        """Factor of the learning rate in an epoch that trains ``kept`` samples; 1 unless the rule has one."""
        return 1.0

    def epoch_size(self, num_samples: int, k: int) -> int | None:
        """How many ids :meth:`select` returns when asked for k: k itself, unless a published rule differs.

        None where it depends on the scores; the length of such a run is not known beforehand.
        """
        return k

    def remark(self, turns: float) -> str:
        """What a user must know of the policy in a run that trains each sample so many times on average; mostly ""."""
        return ""

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values; part of the saved state's fingerprint."""
        return dict(vars(self))

    def __repr__(self) -> str:
        inside = ", ".join(f"{key}={value!r}" for key, value in self.settings().items())
        return f"{type(self).__name__}({inside})"


class InBatchPolicy(Policy):
    """Forwards every sample and chooses inside each batch. Subclass it and override :meth:`select_within_batch`.

    What it reads beside loss and memory term may have any shape [B, ...], reaches it in the request of a batch, and is
    not kept.
    """

    def select_within_batch(self, request: BatchRequest) -> BatchSelection:
        """k of a batch's samples. k is 0 where the batch's share rounds to none. Not called in full epochs."""
        raise NotImplementedError(f"{type(self).__name__} must override select_within_batch.")

    def select(self, request: Request) -> Selection:
        """All samples: each goes through the model."""
        return Selection(np.arange(len(request.table), dtype=np.int64))

    def epoch_size(self, num_samples: int, k: int) -> int:
        return num_samples
