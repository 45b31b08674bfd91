"""Pruner: the one object a user holds; it ties table, policy, plan and observations together."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.checks import check_batch_size, integer
from emprune.compiling import outside_graphs
from emprune.distributed.partition import num_steps
from emprune.distributed.world import World, check_agreement, check_current, current_world, raise_together
from emprune.epoch.auto_rate import AutoRate, check_follows, kept_of
from emprune.epoch.inputs import check_inputs
from emprune.epoch.observations import OnNonFinite
from emprune.epoch.plan import EpochPlan
from emprune.epoch.rank_plan import planner_for
from emprune.epoch.running import Exchanged, RunningEpoch
from emprune.epoch.schedule import (
    Budget,
    PruneRate,
    Schedule,
    bounds,
    checked_anneal,
    following,
    kept_per_epoch,
    rates_of,
)
from emprune.epoch.uninterrupted import Exclusive, uninterrupted
from emprune.epoch.weighing import (
    SampleWeight,
    check_enough,
    check_honoured,
    check_order,
    check_quotas,
    relative_weights,
)
from emprune.epoch.weights import weighted_mean
from emprune.errors import ArgumentError, EmpruneWarning, EpochOrderError, StateError
from emprune.export import export
from emprune.inspection import hardest, suspects, suspicion
from emprune.metrics import metrics_of
from emprune.overrides import SCHEDULED, allowed_fields
from emprune.policies.base import BatchSelection, InBatchPolicy, Policy, Request
from emprune.policies.registry import as_policy
from emprune.report import Report, decided_in, summarise, totals_of
from emprune.selection.blocks import Blocks
from emprune.selection.quotas import Quotas
from emprune.state import Counters, Loaded, fingerprint, pack, schedule_of, unpack
from emprune.table import INFORMATIVE, MEAN_BEFORE, MEAN_LOSS, ScoreTable

T = TypeVar("T")


class Pruner:
    """Decides, epoch by epoch, which samples to train on, from what training showed of them.

    An epoch lasts until it is told to end: ``for _ in pruner.epochs():`` does so after each round of the loop's body,
    :meth:`end_epoch` in a loop of one's own. A batch may be passed several times within it (closures of an optimizer,
    views, parts of a batch one by one): a sample counts as trained once an epoch and keeps its last score. A second
    round over the epoch's plan is an error, and an epoch that ends with a part of its plan untrained is a warning.

    One process may call :meth:`state_dict`, :meth:`report` and :meth:`export` at any time, in another thread or a
    signal's handler too. Of several ranks all must take part in ``state_dict``, and a rank that is in the middle of
    exchanging observations then raises.

    Args:
        num_samples: N, the length of the training set.
        policy: a :class:`Policy`, or the name of a built-in one (``emprune.policies.REGISTRY``).
        prune_rate: fraction left out of an epoch, in [0, 1); or one rate per epoch (sequence or
            function of the epoch); or "auto": an epoch keeps as many samples as are effectively informative, within
            the bounds, and in sum the target, of an :class:`emprune.AutoRate`, which may be given in its place.
        num_epochs: E, the length of the run.
        seed: decides every random choice, together with the epoch.
        warmup_epochs: first epochs on all the data.
        anneal: fraction of the epochs, at the end, on all the data, in [0, 1).
        budget: "epoch": the rate is that of the pruned epochs; "run": that of the whole run, full epochs included; see
            :func:`emprune.epoch.schedule.kept_per_epoch`.
        on_nonfinite: what a NaN or infinite loss does: "error" raises and names the ids; "quarantine"
            ranks the sample behind all others until a finite loss is seen, and counts it in the report.
        world: the ranks that train together; None: those of the default process group, if it is running. All
            of them must build the pruner with the same arguments, and reach ``end_epoch``, ``state_dict`` and
            ``load_state_dict`` together; nothing else communicates.
        sample_weight: how much each sample counts in the selection, as torch's WeightedRandomSampler takes it: real
            numbers, shape [N], at least 0; ratios matter alone. At each draw a sample's probability is in proportion to
            its weight times what the policy's rule gives it; no sample is drawn twice an epoch, and none of weight 0
            ever. Losses are not weighed. See :mod:`emprune.epoch.weighing` and docs/weighted.md.
        quotas: what share of each epoch every class gets, such as ``Quotas(labels)`` for equally many of each.
        remember: "last", or "mean", which keeps a running average of each sample's losses beside the last one, 8 bytes
            a sample: :meth:`suspects` goes by it then, and finds more of the wrong labels. Training is the same.
        order: in which an epoch's samples are trained; None: every order is equally likely. ``Blocks(sizes)`` reads
            shards in sequence; what an epoch trains stays the same.
        partition_batch_size: samples of this rank in a step. If given, score table and plan are partitioned: each rank
            holds its own rows of them alone, and trains the same global batches as otherwise; see
            :mod:`emprune.epoch.rank_plan`. The table, ``plan``, ``export`` and the state are then each rank's own.

    Attributes:
        policy: the policy object.
        num_samples: N.
        num_epochs: E.
        kept: samples that each epoch keeps by the settings, E counts; of a run that was extended, what its first epochs
            did keep. "full" trains all, whatever they are, and a published rule that follows the scores about as many.
            Where the rate follows the scores, an epoch's count is known when it begins; for later ones stands the most
            that they may keep, or their even share of the target.
        seed: as given.
        on_nonfinite: as given.
        world: the ranks that train together.
        table: what training has shown so far.
        epoch: the running epoch, from 0; E when the run is over.
        steps_reported: how many batches training steps have reported to this object, by :meth:`loss` or
            :meth:`select_batch`.
        fingerprint: JSON values that a state must agree on to be loaded.

    Raises:
        ArgumentError: a value is out of range, the policy is unknown, or needs the whole table.
        RankError: ranks disagree on an argument.

    >>> pruner = Pruner(1000, "random", prune_rate=0.7, num_epochs=3)
    >>> len(pruner.plan), pruner.total_steps(batch_size=100)
    (300, 9)
    """

    def __init__(
        self,
        num_samples: int,
        policy: Policy | str = "emp-gated",
        *,
        prune_rate: PruneRate,
        num_epochs: int,
        seed: int = 0,
        warmup_epochs: int = 0,
        anneal: float = 0.0,
        budget: Budget = "epoch",
        on_nonfinite: OnNonFinite = "error",
        world: World | None = None,
        partition_batch_size: int | None = None,
        sample_weight: SampleWeight | None = None,
        quotas: Quotas | None = None,
        order: Blocks | None = None,
        remember: Literal["last", "mean"] = "last",
    ) -> None:
        hint = "It is the data set's length: Pruner(len(dataset), ...)." if hasattr(num_samples, "__len__") else ""
        num_samples, num_epochs = integer("num_samples", num_samples, 1, hint), integer("num_epochs", num_epochs, 1)
        warmup_epochs, seed = integer("warmup_epochs", warmup_epochs, 0), integer("seed", seed)
        anneal, prune_rate = checked_anneal(anneal), rates_of(prune_rate, num_epochs)
        kept = kept_per_epoch(
            num_samples, num_epochs, prune_rate, warmup_epochs=warmup_epochs, anneal=anneal, budget=budget
        )
        self._schedule = Schedule(kept, (num_samples,) * num_epochs)
        if on_nonfinite not in ("error", "quarantine"):
            raise ArgumentError("on_nonfinite", on_nonfinite, "'error' or 'quarantine'")
        if remember not in ("last", "mean"):
            raise ArgumentError("remember", remember, "'last' or 'mean'")
        self.policy = as_policy(policy)
        check_inputs(self.policy)
        self._auto = prune_rate if isinstance(prune_rate, AutoRate) else None
        self._following = following(num_epochs, warmup_epochs, anneal) if self._auto else range(0)
        if self._auto:
            check_follows(self.policy, num_samples)
        self.num_samples, self.num_epochs, self.seed = num_samples, num_epochs, seed
        self.on_nonfinite = on_nonfinite
        self.world, self._is_default_world = world or current_world(), world is None
        self._planner, self._quotas = planner_for(self.policy, self.world, partition_batch_size, order), quotas
        owned, weighing = self._planner.owned(num_samples, self.world), self._weighing(sample_weight)
        weights = weighing.get("sample_weight")
        averages = [MEAN_LOSS, MEAN_BEFORE] if remember == "mean" else []
        self.table = ScoreTable(
            num_samples, {**self.policy.columns, **dict.fromkeys(averages, np.nan)}, owned,
            {**self.policy.history, **({INFORMATIVE: np.nan} if self._auto else {})}, num_epochs,
            None if weights is None else weights[owned.begin : owned.end].copy(),
        )  # fmt: skip
        self.epoch = self.steps_reported = 0
        self.fingerprint = fingerprint(
            self.policy, prune_rate, num_epochs, num_samples=num_samples, seed=seed,
            warmup_epochs=warmup_epochs, anneal=anneal, budget=budget, **self._planner.fingerprint(self.world),
            **weighing,
        )  # fmt: skip
        self._running: RunningEpoch | None = None
        self._counters = Counters()
        self._exclusive, self._collectives, self._warned_unfinished = Exclusive(), Exclusive(), False
        check_agreement(self.world, {**self.fingerprint, "on_nonfinite": on_nonfinite, "remember": remember})
        self._update_totals()
        self._agree_on_plan()

    def __repr__(self) -> str:
        head = f"Pruner({self.policy.name}, "
        if self.epoch >= self.num_epochs:
            return f"{head}all {self.num_epochs} epochs done, {self.num_samples} samples)"
        kept, of = self._trained_of(self.epoch)
        when = f"epoch {self.epoch} of {self.num_epochs}"
        if kept is None:
            return f"{head}{when}, keeps a part of {of} that follows from the scores)"
        remark = f"; {said}" if (said := self._remark) else ""
        return f"{head}rate {1 - kept / of:.3g}, {when}, keeps {kept} of {of}{remark})"

    @property
    def kept(self) -> tuple[int, ...]:
        return self._schedule.kept

    @property
    def is_partitioned(self) -> bool:
        """Whether this rank holds a partition of the score table and of the plan alone."""
        return not self.table.owned.is_whole

    @property
    def plan(self) -> EpochPlan:
        """The running epoch's plan, or this rank's partition of it; made at the first use, kept until the epoch ends.

        Raises:
            EpochOrderError: the run is over.
        """
        return self._now().plan

    @property
    def start(self) -> int:
        """Position in the plan at which the epoch's iteration begins: 0, or where a restored one goes on."""
        return self._now().start

    @property
    def consumed(self) -> int:
        """Samples of the running epoch's plan that training steps have consumed; 0 before it begins.

        However often and in which parts they were passed. Of several ranks this one's estimate for all; those of ids
        on a device are counted when observations are moved into the table.
        """
        running = self._current()
        return running.consumed if running else 0

    @property
    def learning_rate_factor(self) -> float:
        """Factor of the learning rate in the running epoch: 1, but for policies whose rule changes it."""
        return self.policy.learning_rate_factor(self.plan.count, self._schedule.num_samples[self.epoch])

    @property
    def selects_in_batch(self) -> bool:
        """Whether the running epoch trains a part of each batch: an in-batch policy's, unless the epoch is full."""
        return self._now().selects_in_batch

    def progress(self, trained: int | None = None) -> float:
        """Fraction of the run that is trained, in [0, 1]: what a learning rate can follow where steps are not known.

        Of its samples, where their number is known (a rate that is fixed, or has a target); else of its epochs, each of
        which then counts the same.

        Args:
            trained: samples of the running epoch's plan that all ranks have trained, those before a restart counted;
                None: :attr:`consumed`, which follows ids on a device only from one flush to the next.
        """
        if self.epoch >= self.num_epochs:
            return 1.0
        running, counts = self._now(), self._counts_of_run()
        if trained is None:  # of a partitioned plan, as the plan itself, this rank's part
            part = running.consumed / max(1, len(running.plan))
        else:
            part = trained / max(1, running.plan.count)
        return min(1.0, (sum(counts[: self.epoch]) + part * counts[self.epoch]) / sum(counts))

    def join(self, world: World | None = None) -> None:
        """Train on with other ranks: those of a process group that was started after this pruner was built.

        The state stays as it is; what is left of an epoch is dealt out among them. All of them must call it, each with
        a pruner in the same state.

        Args:
            world: None: the ranks of the default process group.

        Raises:
            ArgumentError: the table is partitioned among the ranks it was built for.
            RankError: the ranks' pruners differ.
        """
        world = world or current_world()
        if self._planner.fingerprint(self.world):
            raise ArgumentError(
                "partition_batch_size", "given", "None for a pruner that joins other ranks",
                "Build it after the process group is initialised.",
            )  # fmt: skip
        check_agreement(world, {**self.fingerprint, "on_nonfinite": self.on_nonfinite})
        state = self.state_dict()
        self.world = world
        self.load_state_dict(state)

    def epochs(self) -> Iterator[int]:
        """Yield the epochs that are left, ending each after the loop's body has run.

        A loop that was interrupted in mid-epoch and is run again goes on with what no step has consumed. Of a run that
        this object has trained to its end none is left, and an :class:`emprune.errors.EmpruneWarning` says so.
        """
        self._settled(self._go_on)
        if self.epoch >= self.num_epochs and self.steps_reported and not self.world.rank:
            warnings.warn(
                f"this loop trains nothing: the pruner's {self.num_epochs} epochs are over. For another run, of a new "
                "model or seed, build a new Pruner; to train on, one with more num_epochs that goes on from this one's "
                'state, load_state_dict(state, allow=("num_epochs",)).',
                EmpruneWarning, stacklevel=2,
            )  # fmt: skip
        while self.epoch < self.num_epochs:
            yield self.epoch
            self.end_epoch()

    def end_epoch(self, *, partial: bool = False) -> None:
        """Move the epoch's observations into the table and go to the next epoch.

        The first time that an epoch ends with samples of its plan that no step has trained, an
        :class:`emprune.errors.EmpruneWarning` says how many; those that ``drop_last`` leaves out are not meant.

        Args:
            partial: the rest of the epoch is left out on purpose; no warning then.

        Raises:
            EpochOrderError: the run is over, or nothing was observed in this epoch; on every rank where it was on one.
                Or its loader was partitioned among the ranks a second time, or skipped a second time what was trained
                before a restart.
            NonFiniteError: a loss was NaN or infinite (on_nonfinite="error").
        """
        running = self._now()
        begun = self.world.all_gather_same_size(np.array([running.has_begun], dtype=np.int64))
        if not all(part[0] for part in begun):
            raise EpochOrderError(self._nothing_observed(running, [int(part[0]) for part in begun]))

        def end() -> int:
            running.check_gaps()
            untrained = running.untrained()
            self.epoch += 1  # this alone ends it: an interrupt before or after leaves a whole state
            self._running = None
            return untrained

        untrained = self._settled(end)
        if untrained > running.dropped and not partial:
            self._warn_unfinished(running, untrained)
        self._agree_on_plan()

    @outside_graphs
    def loss(
        self,
        ids: torch.Tensor,
        loss: torch.Tensor,
        memory: torch.Tensor | None = None,
        **values: torch.Tensor | None,
    ) -> torch.Tensor:
        """The batch's training loss; records the observation.

        It is the mean over the samples chosen of each one's loss times its weight: divided by their number, not by the
        sum of the weights, so that parts of a batch add up to the whole.

        Args:
            ids: int64, shape [B], as they came with the batch. An id that occurs again, in this batch or in another
                pass of this epoch, counts as trained once and keeps its last score.
            loss: floating point, shape [B], in nats, per sample, with gradient.
            memory: floating point, shape [B], the memory term; only policies that read it need it. EMP goes without if
                no step of the run gives one: it warns once, and ranks by the loss alone.
            values: whatever else the policy reads, by the names in its ``inputs``: ``confidence=``, floating point of
                shape [B], for KAKURENBO; ``gradient_products=``, [B, B], for DivBS. What an in-batch policy reads
                beside loss and memory term is not kept.

        Returns:
            A scalar to call ``backward`` on.

        Raises:
            ArgumentError: shapes, dtypes or ids do not fit, a value that the policy reads is missing, or one is given
                that it does not read.
            EpochOrderError: an id is not in the running epoch's plan, or a second round over the plan begins.
            NonFiniteError: a value is NaN or infinite (on_nonfinite="error"). For tensors on a device
                this and the checks of ids come at the end of the epoch, so that no step waits; a second round is
                noticed when it has begun.
        """
        chosen = self.select_batch(ids, loss, memory, **values)
        if self.on_nonfinite == "quarantine":
            loss = torch.where(torch.isfinite(loss), loss, 0.0)
        if chosen.positions is not None:
            loss = loss[chosen.positions]
        return weighted_mean(loss, chosen.weights)

    @outside_graphs
    def select_batch(
        self,
        ids: torch.Tensor,
        loss: torch.Tensor,
        memory: torch.Tensor | None = None,
        **values: torch.Tensor | None,
    ) -> BatchSelection:
        """Record a batch and say which of its samples go through backward, with which weight.

        :meth:`loss` does this and the mean. Call it alone to forward a batch without gradient and then
        train only a part of it, or to weight the loss yourself. Arguments and errors as in :meth:`loss`.
        """
        chosen = self._now().select_batch(ids, {"loss": loss, "memory": memory, **values})
        self.steps_reported += 1
        return chosen

    @outside_graphs
    def observe(
        self,
        ids: torch.Tensor,
        loss: torch.Tensor,
        memory: torch.Tensor | None = None,
        *,
        epoch: int | None = None,
        **values: torch.Tensor | None,
    ) -> None:
        """Record a forward pass that trains nothing: refreshes scores, may cover samples outside the plan.

        Args:
            ids, loss, memory, values: as in :meth:`loss`.
            epoch: the epoch that the values belong to, if the caller keeps count; must be the running one.

        Raises:
            ArgumentError, NonFiniteError: as :meth:`loss`.
            EpochOrderError: ``epoch`` is another than the running one, or the run is over.
        """
        running = self._now()
        if epoch is not None and epoch != self.epoch:
            raise EpochOrderError(f"epoch is {epoch}; allowed: the running epoch, {self.epoch}. Observe them in order.")
        running.observe(ids, {"loss": loss, "memory": memory, **values})

    def observe_held_out(self, loss: torch.Tensor) -> None:
        """Tell the policy the losses of samples that are never trained, such as a validation set's; once an epoch, say.

        The default policy measures the generalisation gap by them and by the first losses of samples, and by them alone
        where every sample has been trained, as in a run that begins with full epochs. To be compared with training
        losses they must be made like them: the same loss function, in training mode if the network has dropout, under
        the same augmentation. Other policies have no use for them.

        They count for the running epoch, which after ``end_epoch`` is the next one; when the run is over they are
        ignored.

        Args:
            loss: floating point, nats, shape [M], M ≥ 1, one loss a sample, on any device. With several ranks the same
                values on all of them.

        Raises:
            ArgumentError: it is no such tensor, for instance a mean, or holds NaN or infinite values.
        """
        if not isinstance(loss, torch.Tensor) or not loss.is_floating_point() or not loss.numel() or not loss.dim():
            raise ArgumentError(
                "loss", loss, "a floating point tensor of shape [M], the losses of M ≥ 1 samples",
                'Not their mean: F.cross_entropy(logits, labels, reduction="none").',
            )  # fmt: skip
        try:
            losses = loss.detach().float().cpu().numpy().reshape(-1).astype(np.float64)
        except (NotImplementedError, RuntimeError, TypeError) as error:
            raise ArgumentError("loss", f"{loss.layout} on {loss.device}", "a dense tensor with values") from error
        if not np.isfinite(losses).all():
            raise ArgumentError("loss", "NaN or infinite values", "finite numbers")
        if self.epoch < self.num_epochs:
            self._exclusive.uninterrupted(lambda: self.policy.observe_held_out(self.table, self.epoch, losses))

    def rank_ids(self, batch_size: int | None = None, *, drop_last: bool = False) -> NDArray[np.int64]:
        """int64, shape [M]: the ids that this rank trains in the rest of the epoch, in its order.

        All ranks get as many; see :mod:`emprune.distributed.partition`. Called by what begins to iterate, since the
        epoch learns its batch size from it.

        Args:
            batch_size: samples of this rank in a step; may be left out where there is one rank alone.
            drop_last: leave out a smaller last global batch.

        Raises:
            ArgumentError: the batch size is below 1, or missing with several ranks.
            StateError: several ranks, and the epoch was begun with another global batch (batch size times ranks).
        """
        self._check_world()
        running, ranks = self._now(), self.world.size
        if batch_size is None:
            if ranks > 1:
                raise ArgumentError("batch_size", None, f"the samples of each of {ranks} ranks in a step")
            return running.remaining_ids()
        batch_size = check_batch_size(batch_size)
        self._planner.check_batch_size(batch_size)
        return running.rank_ids(batch_size, drop_last=drop_last)

    def rank_count(self, batch_size: int | None = None, *, drop_last: bool = False) -> int:
        """M of :meth:`rank_ids`, without beginning to iterate; 0 when the run is over."""
        if self.epoch >= self.num_epochs:
            return 0
        return self._now().rank_count(batch_size or 1, drop_last=drop_last and batch_size is not None)

    def total_steps(self, batch_size: int, *, drop_last: bool = False) -> int:
        """Training steps of the whole run on each rank, exact before it starts: for the learning-rate schedule.

        Raises:
            ArgumentError: the batch size is below 1, or the policy's epochs have no fixed size, or follow the scores;
                :meth:`progress` is there for these.
        """
        batch_size = check_batch_size(batch_size)
        return sum(num_steps(size, batch_size, self.world.size, drop_last=drop_last) for size in self.epoch_sizes())

    def epoch_sizes(self) -> tuple[int, ...]:
        """Samples that go through the model in each epoch of the run, on all ranks, exact before it starts.

        Raises:
            ArgumentError: the policy's epochs have no fixed size, or follow the scores and have not all begun.
        """
        sizes = self._sizes()
        known = tuple(size for size in sizes if size is not None)
        if len(known) == len(sizes):
            return known
        if not self._auto:
            raise ArgumentError("policy", self.policy.name, "a policy with an exact rate, to know the steps beforehand")
        raise ArgumentError(
            "prune_rate", self._auto, "a number, or one for each epoch, to know the steps beforehand",
            "Whatever counts a run's steps before it starts needs that: total_steps, accelerate's updates_per_epoch, a "
            "Trainer, Lightning's estimated_stepping_batches. In a loop of your own let the learning rate follow "
            "pruner.progress().",
        )  # fmt: skip

    def fewest(self, epoch: int) -> int | None:
        """The fewest samples that may go through the model in an epoch; None where a published rule decides it."""
        size = self._size(epoch)
        return bounds(self._auto, self.num_samples)[0] if size is None and self._auto else size

    def report(self) -> Report:
        """What the run has done so far; the running epoch's observations are moved into the table.

        With several ranks, as of their last exchange: a report on one rank alone does not wait for the others.
        """
        return self._settled_here(self._summary)

    def metrics(self) -> dict[str, float]:
        """The run so far as numbers by name, such as "emprune/kept", for any logger: call it once an epoch.

        Inside the loop's body after the last step, or after ``end_epoch``: both are about the last epoch begun. It
        waits for the device, like :meth:`report`, so not in every step. With several ranks all numbers are as of their
        last exchange, the end of an epoch, and one rank may call it alone. A number that is not known (yet) is left
        out.

        Returns:
            ``epoch``, ``kept`` (samples that it is to train; not of policies whose published rule decides it by the
            scores, and N of "full"), ``prune_rate`` (1 - kept/N); of the run
            ``realised_rate``, ``samples_backward``, ``samples_forward``, ``steps``, ``seconds_selecting``,
            ``never_trained``, ``mean_times_trained``, ``quarantined`` as in :class:`Report`; ``seen_fraction`` of the
            samples that have a score; and of the last scores of these ``loss_q10``, ``loss_q50``, ``loss_q90``,
            ``loss_ess`` and the same of ``memory``: quantiles in nats, and the effective sample size, a fraction, of
            sampling in proportion to them (of a partitioned table: of this rank's rows); ``informative``, the effective
            part of the samples before the epoch, where the rate follows it; and what the policy shows of its own, as
            "emp-gated" its "gap", "reliability" and "gamma". Seconds saved are not among them: a pruner does not see
            how long a step takes on a device.
        """
        report = self.report()
        epoch = max(0, report.epochs - 1)
        kept, of = self._trained_of(epoch)
        return metrics_of(report, self.table, epoch=epoch, kept=kept, of=of)

    def hardest(self, n: int) -> NDArray[np.int64]:
        """int64: the n ids with the most left to learn, by loss and memory term; see :mod:`emprune.inspection`.

        With several ranks, as of their last exchange; of a partitioned table: of this rank's rows.
        """
        return self._settled_here(lambda: self._ids(hardest(self.table.loss, self.table.memory, n)))

    def suspects(self, n: int) -> NDArray[np.int64]:
        """int64: the n ids whose labels are most probably wrong, the first most; otherwise as :meth:`hardest`."""
        table = self.table
        return self._settled_here(lambda: self._ids(suspects(suspicion(table.loss, table.extra.get(MEAN_LOSS)), n)))

    def export(self, path: str | Path) -> Path:
        """Write ids, scores and counts to a .npz, .csv or .parquet file; see :func:`emprune.export.export`.

        With several ranks, as of their last exchange.
        """
        return self._settled_here(lambda: export(self.table, path))

    def state_dict(self) -> dict[str, Any]:
        """Everything a later pruner needs to go on, in mid-epoch too: flat tensors and JSON values.

        The remaining batches of a restored epoch are those that no step has consumed yet, in their order.
        Of several ranks all must call it; it is the same on each, unless the table is partitioned.
        """
        return self._settled(self._packed)

    def load_state_dict(self, state: Mapping[str, Any], *, allow: Collection[str] = ()) -> None:
        """Go on where ``state`` was taken: exactly, or with the changes that ``allow`` names.

        Of several ranks all must call it; all of them raise where one does.

        Args:
            state: what :meth:`state_dict` gave; with a partitioned table, on the same rank.
            allow: settings that may differ from the saved ones; see :func:`emprune.checkpoint.restore`. With
                ``("num_epochs",)`` a run is extended, with ``("num_samples",)`` its data set may have grown.

        Raises:
            StateError: it was saved by a pruner with other settings, or is incomplete or malformed; nothing is
                changed.
            RankError: the ranks loaded different states.
            ArgumentError: a setting in ``allow`` cannot differ.
        """
        fields = allowed_fields(allow)
        failure: Exception | None = None
        try:
            loaded = unpack(state, self.fingerprint, self.table, fields)
            schedule, running = self._schedule_after(loaded), self._running_of(state, loaded, fields)
        except Exception as error:  # any: the other ranks must not wait for this one
            failure = error
        raise_together(self.world, failure)
        values = {"epoch": loaded.counters.epoch, "kept": schedule.kept, "consumed": loaded.counters.consumed}
        check_agreement(self.world, {**values, "plan": running and running[0].agreed})

        def load() -> None:
            self.table.replace(loaded.columns)
            self._schedule = schedule
            self.epoch, self._counters, self._running = loaded.counters.epoch, loaded.counters, None
            if running:
                self._run(*running)

        self._exclusive.uninterrupted(load)
        self._update_totals()
        self._agree_on_plan()

    def _schedule_after(self, loaded: Loaded) -> Schedule:
        """The saved run's schedule; where settings of it have changed, that of the epochs that it has begun is kept."""
        if not loaded.changed & SCHEDULED:
            return loaded.schedule
        try:
            return schedule_of(self.fingerprint, loaded.begun)
        except ArgumentError as error:
            raise StateError(f"the run cannot go on with these settings: {error}") from error

    def _running_of(
        self, state: Mapping[str, Any], loaded: Loaded, allow: Collection[str]
    ) -> tuple[EpochPlan, int, NDArray[np.bool_], int] | None:
        """The saved epoch's plan, how far it has come, and its global batch; None between epochs."""
        if not loaded.in_epoch:
            return None
        if loaded.changed and isinstance(self.policy, InBatchPolicy):
            raise StateError(
                f"{', '.join(sorted(loaded.changed))} cannot change in mid-epoch for the in-batch policy "
                f"{self.policy.name!r}: its epoch would keep another number of samples. Restore a state saved between "
                "epochs."
            )
        counters = loaded.counters
        plan, consumed_rows = self._planner.restore(state, counters.epoch, self.table.owned, counters.consumed)
        global_batch = 0 if "batch_size" in allow else counters.global_batch  # not known: the epoch may go on with any
        return plan, counters.consumed, consumed_rows, global_batch

    def _weighing(self, sample_weight: SampleWeight | None) -> dict[str, Any]:
        """What the fingerprint says of weights, quotas and order, all checked; nothing where there are none."""
        found: dict[str, Any] = {}
        if sample_weight is not None:
            check_honoured(self.policy, "sample_weight")
            found["sample_weight"] = relative_weights(sample_weight, self.num_samples)
        if self._quotas is not None:
            check_honoured(self.policy, "quotas")
            check_quotas(self._quotas, self.num_samples)
            if self._planner.fingerprint(self.world):
                raise ArgumentError(
                    "quotas", "given", "None with partition_batch_size",
                    "Leave partition_batch_size out: each rank then holds all scores, in 16 bytes a sample.",
                )  # fmt: skip
            found["quotas"] = self._quotas.settings()
        most = [bounds(self._auto, self.num_samples)[1]] if self._auto else []
        if self._planner.blocks is not None:
            check_order(self._planner.blocks, self.num_samples)
            found["order"] = self._planner.blocks.settings()
        check_enough([*self.kept, *most], found.get("sample_weight"), self._quotas)
        return found

    def _check_world(self) -> None:
        """Raise RankError where the ranks that train together are others than those that the pruner was built for."""
        if self._is_default_world:
            check_current(self.world)

    def _packed(self) -> dict[str, Any]:
        running = self._current()
        counters, plan = replace(self._counters, epoch=self.epoch, consumed=0, global_batch=0), {}
        if running:
            ordered, consumed = running.consumed_first()
            counters = replace(counters, consumed=consumed, global_batch=running.global_batch)
            plan = ordered.state_dict(running.consumed_rows)
        return pack(self.fingerprint, counters, self.table, self._schedule) | plan

    def _summary(self) -> Report:
        running, counters = self._current(), self._counters
        epochs = self.epoch + bool(running and running.consumed_rows.any())
        shown = (*self.policy.shown, *([INFORMATIVE] if self._auto else []))
        return summarise(
            self._totals or totals_of(self.table), num_samples=self.num_samples, num_epochs=self.num_epochs,
            epochs=epochs, samples_there=sum(self._schedule.num_samples[:epochs]),
            samples_forward=counters.samples_forward,
            steps=counters.steps + (running.unflushed_steps if running else 0),
            seconds_selecting=counters.seconds_selecting,
            decided=decided_in(self.table, max(0, epochs - 1), shown), remark=self._remark,
        )  # fmt: skip

    @property
    def _remark(self) -> str:
        return self.policy.remark(sum(self.kept) / self.num_samples)

    def _now(self) -> RunningEpoch:
        """The running epoch; begins it if need be."""
        if running := self._current():
            return running
        if self.epoch >= self.num_epochs:
            raise EpochOrderError(
                f"the run of {self.num_epochs} epochs is over; build a Pruner with more num_epochs to train on: a new "
                'one, or one that goes on from this one\'s state, load_state_dict(state, allow=("num_epochs",)).'
            )
        self._check_world()
        began = time.perf_counter()
        schedule = self._decided()
        k = schedule.kept[self.epoch]
        request = Request(self.table, k, self.epoch, self.num_epochs, self.seed, self._quotas)
        plan = self._planner.make(self.policy, request)

        def begin() -> RunningEpoch:
            if running := self._current():  # another thread was faster
                return running
            seconds = self._counters.seconds_selecting + time.perf_counter() - began
            self._counters = replace(self._counters, seconds_selecting=seconds)
            self._schedule = schedule
            for name, values in request.kept_columns.items():
                self.table.column(name)[:] = values
            return self._run(plan)

        return self._exclusive.uninterrupted(begin)

    def _decided(self) -> Schedule:
        """The schedule with what the epoch that begins is to keep, where that follows from the scores so far."""
        epoch, before = self.epoch, self._schedule
        if self._auto is None or epoch not in self._following:
            return before
        left = before.kept[epoch : self._following.stop]
        kept = kept_of(self._auto, self.table, epoch, left, *bounds(self._auto, self.num_samples))
        begun = Schedule((*before.kept[:epoch], kept), before.num_samples[: epoch + 1])
        return schedule_of(self.fingerprint, begun)

    def _size(self, epoch: int) -> int | None:
        """Samples that go through the model in an epoch, on all ranks; None where that will follow from scores."""
        if not isinstance(self.policy, InBatchPolicy) and not self._is_decided(epoch):
            return None
        return self.policy.epoch_size(self._schedule.num_samples[epoch], self.kept[epoch])

    def _sizes(self) -> list[int | None]:
        return [self._size(epoch) for epoch in range(self.num_epochs)]

    def _counts_of_run(self) -> Sequence[int]:
        """What each epoch counts for in :meth:`progress`; in sum always the same."""
        if self._auto and not isinstance(self.policy, InBatchPolicy):
            return (1,) * self.num_epochs if self._auto.target is None else self.kept
        known = [size for size in self._sizes() if size is not None]
        return known if len(known) == self.num_epochs else (1,) * self.num_epochs

    def _is_decided(self, epoch: int) -> bool:
        """Whether it is known how many samples an epoch keeps."""
        return epoch not in self._following or epoch < self.epoch + bool(self._current())

    def _current(self) -> RunningEpoch | None:
        running = self._running
        return running if running and running.plan.epoch == self.epoch else None

    def _run(
        self,
        plan: EpochPlan,
        start: int = 0,
        consumed_rows: NDArray[np.bool_] | None = None,
        global_batch: int = 0,
    ) -> RunningEpoch:
        self._running = RunningEpoch(
            plan, self.policy, self.kept[self.epoch], self.seed, self.on_nonfinite, self.world, self.table.owned,
            start, consumed_rows, global_batch, self.table.has_memory,
        )  # fmt: skip
        return self._running

    def _go_on(self) -> None:
        """Let iteration begin with what no step of the running epoch has consumed."""
        running = self._current()
        if running and running.has_begun:
            self._run(*running.consumed_first(), running.consumed_rows, running.global_batch)

    def _agree_on_plan(self) -> None:
        """With several ranks: make the epoch's plan now, where all of them are, and compare it."""
        if self.world.size > 1 and self.epoch < self.num_epochs:
            running = self._now()
            values = {"epoch": self.epoch, "start": running.start, "plan": running.plan.agreed}
            check_agreement(self.world, values)

    def _settled(self, then: Callable[[], T]) -> T:
        """Move what the running epoch's steps have observed into the table, and do ``then`` with nothing in between.

        All ranks must call it.
        """
        if self.world.size > 1:
            return self._settled_together(then)
        while True:
            running = self._current()
            exchanged = running.exchanged() if running else None
            settled, outcome = self._exclusive.uninterrupted(partial(self._settle, running, exchanged, then))
            if settled:
                return cast(T, outcome)

    def _settled_here(self, then: Callable[[], T]) -> T:
        """As :meth:`_settled`, but with several ranks as of their last exchange: one of them may call it alone."""
        return self._settled(then) if self.world.size == 1 else then()

    def _ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.table.owned.begin + rows

    def _settle(
        self, running: RunningEpoch | None, exchanged: Exchanged | None, then: Callable[[], T]
    ) -> tuple[bool, T | None]:
        """Whether it was done: a thread, or a signal's handler, may have done the same since this one collected."""
        if self._current() is not running or (running and exchanged and not running.is_next(exchanged)):
            return False, None
        if running and exchanged:
            self._apply(running, exchanged)
        return True, then()

    def _settled_together(self, then: Callable[[], T]) -> T:
        """The same on several ranks, whose collectives only one thread of each may call."""
        if not self._collectives.lock.acquire(blocking=False):
            raise EpochOrderError(
                "this rank is in the middle of exchanging observations, in another thread or below a signal's handler. "
                "Save the state of several ranks between two steps, on all of them: let a handler set a flag."
            )
        try:
            if running := self._current():
                exchanged = running.exchanged()
                if exchanged:
                    uninterrupted(lambda: self._apply(running, exchanged))
            self._update_totals()
            return then()
        finally:
            self._collectives.lock.release()

    def _apply(self, running: RunningEpoch, exchanged: Exchanged) -> None:
        seen, counters = exchanged.seen, self._counters
        if self.policy.columns or self.policy.history:
            usable = ~exchanged.bad
            if self.policy.updated_by_training_alone:
                usable &= seen.is_train_step
            self.policy.update(self.table, replace(seen.latest(usable), epoch=running.plan.epoch))
        self.table.record(seen.ids, seen.loss, seen.memory, running.plan.epoch, seen.trained)
        running.applied(exchanged)
        self._counters = replace(
            counters, samples_forward=counters.samples_forward + exchanged.samples,
            steps=counters.steps + exchanged.steps,
        )  # fmt: skip

    def _update_totals(self) -> None:
        """Sum up a partitioned table over all ranks: for reports, which do not wait for other ranks."""
        self._totals = totals_of(self.table) if self.is_partitioned else None

    def _nothing_observed(self, running: RunningEpoch, begun: list[int]) -> str:
        count = running.plan.count
        if running.dropped and running.dropped == count - running.start:
            return (
                f"epoch {self.epoch} ends, but none of its {count} samples was observed: drop_last left them all out, "
                "since they are fewer than a batch. Lower the batch size, or leave drop_last out."
            )
        where = "" if len(begun) == 1 else f" on rank(s) {', '.join(str(r) for r, has in enumerate(begun) if not has)}"
        return (
            f"epoch {self.epoch} ends, but none of its {count} samples was observed{where}; call pruner.loss(ids, ...) "
            "in every step, and pruner.end_epoch() once after them."
        )

    def _trained_of(self, epoch: int) -> tuple[int | None, int]:
        """Samples that an epoch sends through backward, None where that follows from the scores; and the epoch's N."""
        num_samples, kept = self._schedule.num_samples[epoch], self.kept[epoch]
        if not self._is_decided(epoch):
            return None, num_samples
        in_batch = isinstance(self.policy, InBatchPolicy)
        return kept if in_batch else self.policy.epoch_size(num_samples, kept), num_samples

    def _warn_unfinished(self, running: RunningEpoch, untrained: int) -> None:
        if self._warned_unfinished or self.world.rank:
            return
        self._warned_unfinished = True
        planned = running.plan.count
        warnings.warn(
            f"epoch {running.plan.epoch} ended with {planned - untrained} of its {planned} planned samples trained. "
            "Steps were taken without pruner.loss(ids, ...), batches skipped (skip_first_batches after a restore skips "
            "a second time), samples dropped by a collate_fn, or the loop left early; if that is meant, call "
            "pruner.end_epoch(partial=True). This is said once.",
            EmpruneWarning, stacklevel=3,
        )  # fmt: skip
