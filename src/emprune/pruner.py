"""Pruner: the one object a user holds; it ties table, policy, plan and observations together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.checks import check_batch_size
from emprune.compiling import outside_graphs
from emprune.distributed.partition import num_steps
from emprune.distributed.world import World, check_agreement, current_world
from emprune.epoch.inputs import check_inputs
from emprune.epoch.observations import OnNonFinite
from emprune.epoch.plan import EpochPlan
from emprune.epoch.rank_plan import planner_for
from emprune.epoch.running import RunningEpoch
from emprune.epoch.schedule import Budget, PruneRate, kept_per_epoch
from emprune.epoch.uninterrupted import uninterrupted
from emprune.errors import ArgumentError, EpochOrderError
from emprune.export import export
from emprune.policies import get_policy
from emprune.policies.base import BatchSelection, Policy, Request
from emprune.report import Report, summarise, totals_of
from emprune.state import Counters, fingerprint, pack, unpack
from emprune.table import ScoreTable


class Pruner:
    """Decides, epoch by epoch, which samples to train on, from what training showed of them.

    Args:
        num_samples: N, the length of the training set.
        policy: a :class:`Policy`, or the name of a built-in one (``emprune.policies.REGISTRY``).
        prune_rate: fraction left out of an epoch, in [0, 1); or one rate per epoch (sequence or
            function of the epoch).
        num_epochs: E, the length of the run.
        seed: decides every random choice, together with the epoch.
        warmup_epochs, anneal, budget: full epochs at the start and the end, and whether the rate is
            that of the pruned epochs or of the whole run; see :func:`emprune.epoch.schedule.kept_per_epoch`.
        on_nonfinite: what a NaN or infinite loss does: "error" raises and names the ids; "quarantine"
            ranks the sample behind all others until a finite loss is seen, and counts it in the report.
        world: the ranks that train together; None: those of the default process group, if it is running. All
            of them must build the pruner with the same arguments, and reach ``end_epoch``, ``state_dict`` and
            ``load_state_dict`` together; nothing else communicates.
        partition_batch_size: samples of this rank in a step. If given, score table and plan are partitioned: each rank
            holds its own rows of them alone, and trains the same global batches as otherwise; see
            :mod:`emprune.epoch.rank_plan`. The table, ``plan``, ``export`` and the state are then each rank's own.

    Attributes:
        policy: the policy object.
        num_samples: N.
        num_epochs: E.
        kept: samples that each epoch keeps, E counts.
        seed: as given.
        on_nonfinite: as given.
        world: the ranks that train together.
        table: what training has shown so far.
        epoch: the running epoch, from 0; E when the run is over.
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
        policy: Policy | str = "emp",
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
    ) -> None:
        self.kept = kept_per_epoch(
            num_samples, num_epochs, prune_rate, warmup_epochs=warmup_epochs, anneal=anneal, budget=budget
        )
        if on_nonfinite not in ("error", "quarantine"):
            raise ArgumentError("on_nonfinite", on_nonfinite, "'error' or 'quarantine'")
        self.policy = get_policy(policy) if isinstance(policy, str) else policy
        if not isinstance(self.policy, Policy):
            raise ArgumentError("policy", self.policy, "a policy's name or an object of a Policy subclass")
        check_inputs(self.policy)
        self.num_samples, self.num_epochs, self.seed = num_samples, num_epochs, seed
        self.on_nonfinite = on_nonfinite
        self.world = world or current_world()
        self._planner = planner_for(self.policy, self.world, partition_batch_size)
        self.table = ScoreTable(num_samples, self.policy.columns, self._planner.owned(num_samples, self.world))
        self.epoch = 0
        self.fingerprint = fingerprint(
            self.policy, prune_rate, num_epochs, num_samples=num_samples, seed=seed,
            warmup_epochs=warmup_epochs, anneal=anneal, budget=budget, **self._planner.fingerprint(self.world),
        )  # fmt: skip
        self._running: RunningEpoch | None = None
        self._counters = Counters()
        check_agreement(self.world, {**self.fingerprint, "on_nonfinite": on_nonfinite})
        self._update_totals()
        self._agree_on_plan()

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
        """Samples of the running epoch's plan that training steps have consumed; 0 before it begins."""
        running = self._current()
        return running.consumed if running else 0

    @property
    def learning_rate_factor(self) -> float:
        """Factor of the learning rate in the running epoch: 1, but for policies whose rule changes it."""
        return self.policy.learning_rate_factor(self.plan.count, self.num_samples)

    @property
    def selects_in_batch(self) -> bool:
        """Whether the running epoch trains a part of each batch: an in-batch policy's, unless the epoch is full."""
        return self._now().selects_in_batch

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

        A loop that was interrupted in mid-epoch and is run again goes on with what no step has consumed.
        """
        running = self._current()
        if running and running.consumed > running.start:
            self._flush()
            self._run(*running.consumed_first(), running.consumed_rows, running.global_batch)
        while self.epoch < self.num_epochs:
            yield self.epoch
            self.end_epoch()

    def end_epoch(self) -> None:
        """Move the epoch's observations into the table and go to the next epoch.

        Raises:
            EpochOrderError: the run is over, or nothing was observed in this epoch.
            NonFiniteError: a loss was NaN or infinite (on_nonfinite="error").
        """
        running = self._now()
        if running.consumed == 0:
            raise EpochOrderError(
                f"epoch {self.epoch} ends, but none of its {len(self.plan)} samples was observed; "
                "call pruner.loss(ids, ...) in every step."
            )
        self._flush()
        self.epoch += 1  # this alone ends it: an interrupt before or after leaves a whole state
        self._running = None
        self._agree_on_plan()

    @outside_graphs
    def loss(
        self,
        ids: torch.Tensor,
        loss: torch.Tensor,
        memory: torch.Tensor | None = None,
        **values: torch.Tensor | None,
    ) -> torch.Tensor:
        """The batch's training loss: the weighted mean over the samples chosen; records the observation.

        Args:
            ids: int64, shape [B], as they came with the batch. An id that occurs twice counts as trained
                once and keeps its last score.
            loss: floating point, shape [B], in nats, per sample, with gradient.
            memory: floating point, shape [B], the memory term; only policies that read it need it.
            values: whatever else the policy reads, by the names in its ``inputs``: ``confidence=``, floating point of
                shape [B], for KAKURENBO; ``gradient_products=``, [B, B], for DivBS. What an in-batch policy reads
                beside loss and memory term is not kept.

        Returns:
            A scalar to call ``backward`` on.

        Raises:
            ArgumentError: shapes, dtypes or ids do not fit, a value that the policy reads is missing, or one is given
                that it does not read.
            EpochOrderError: an id is not in the running epoch's plan.
            NonFiniteError: a value is NaN or infinite (on_nonfinite="error"). For tensors on a device
                this and the checks of ids come at the end of the epoch, so that no step waits.
        """
        chosen = self.select_batch(ids, loss, memory, **values)
        if self.on_nonfinite == "quarantine":
            loss = torch.where(torch.isfinite(loss), loss, 0.0)
        if chosen.positions is not None:
            loss = loss[chosen.positions]
        if chosen.weights is not None:
            loss = loss * chosen.weights.to(loss.dtype)
        return loss.mean() if len(loss) else loss.sum()  # a batch whose share is none still has a gradient: zero

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
        return self._now().select_batch(ids, {"loss": loss, "memory": memory, **values})

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

    def rank_ids(self, batch_size: int | None = None, *, drop_last: bool = False) -> NDArray[np.int64]:
        """int64, shape [M]: the ids that this rank trains in the rest of the epoch, in its order.

        All ranks get as many; see :mod:`emprune.distributed.partition`.

        Args:
            batch_size: samples of this rank in a step; may be left out where there is one rank alone.
            drop_last: leave out a smaller last global batch.

        Raises:
            ArgumentError: the batch size is below 1, or missing with several ranks.
            StateError: the epoch was begun with another global batch (batch size times ranks) than this one.
        """
        running, ranks = self._now(), self.world.size
        if batch_size is None:
            if ranks > 1:
                raise ArgumentError("batch_size", None, f"the samples of each of {ranks} ranks in a step")
            return running.plan.ids[running.start :]
        check_batch_size(batch_size)
        self._planner.check_batch_size(batch_size)
        return running.rank_ids(batch_size, drop_last=drop_last)

    def total_steps(self, batch_size: int, *, drop_last: bool = False) -> int:
        """Training steps of the whole run on each rank, exact before it starts: for the learning-rate schedule.

        Raises:
            ArgumentError: the batch size is below 1, or the policy's epochs have no fixed size.
        """
        check_batch_size(batch_size)
        return sum(num_steps(size, batch_size, self.world.size, drop_last=drop_last) for size in self.epoch_sizes())

    def epoch_sizes(self) -> tuple[int, ...]:
        """Samples that go through the model in each epoch of the run, on all ranks, exact before it starts.

        Raises:
            ArgumentError: the policy's epochs have no fixed size.
        """
        sizes = [self.policy.epoch_size(self.num_samples, k) for k in self.kept]
        known = tuple(size for size in sizes if size is not None)
        if len(known) < len(sizes):
            raise ArgumentError("policy", self.policy.name, "a policy with an exact rate, to know the steps beforehand")
        return known

    def report(self) -> Report:
        """What the run has done so far; the running epoch's observations are moved into the table.

        With several ranks, as of their last exchange: a report on one rank alone does not wait for the others.
        """
        if self.world.size == 1:
            self._flush()
        running, counters = self._current(), self._counters
        return summarise(
            self._totals or totals_of(self.table), num_samples=self.num_samples, num_epochs=self.num_epochs,
            epochs=self.epoch + (self.consumed > 0), samples_forward=counters.samples_forward,
            steps=counters.steps + (running.unflushed_steps if running else 0),
            seconds_selecting=counters.seconds_selecting,
        )  # fmt: skip

    def export(self, path: str | Path) -> Path:
        """Write ids, scores and counts to a .npz, .csv or .parquet file; see :func:`emprune.export.export`.

        With several ranks, as of their last exchange.
        """
        if self.world.size == 1:
            self._flush()
        return export(self.table, path)

    def state_dict(self) -> dict[str, Any]:
        """Everything a later pruner needs to go on, in mid-epoch too: flat tensors and JSON values.

        The remaining batches of a restored epoch are those that no step has consumed yet, in their order.
        Of several ranks all must call it; it is the same on each, unless the table is partitioned.
        """
        self._flush()
        running = self._current()
        counters, plan = replace(self._counters, epoch=self.epoch, consumed=0, global_batch=0), {}
        if running:
            ordered, consumed = running.consumed_first()
            counters = replace(counters, consumed=consumed, global_batch=running.global_batch)
            plan = ordered.state_dict(running.consumed_rows)
        return pack(self.fingerprint, counters, self.table) | plan

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken.

        Raises:
            StateError: it was saved by a pruner with other settings, or is incomplete; nothing is changed.
            RankError: the ranks loaded different states.
        """
        counters, columns = unpack(state, self.fingerprint, self.table)
        restored = None
        if "plan.ids" in state:
            restored = self._planner.restore(state, counters.epoch, self.table.owned, counters.consumed)
        self.table.load_state_dict(columns)
        self.epoch, self._counters, self._running = counters.epoch, counters, None
        self._update_totals()
        if restored:
            plan, consumed_rows = restored
            self._run(plan, counters.consumed, consumed_rows, counters.global_batch)
        self._agree_on_plan()

    def _now(self) -> RunningEpoch:
        """The running epoch; begins it if need be."""
        if running := self._current():
            return running
        if self.epoch >= self.num_epochs:
            raise EpochOrderError(f"the run of {self.num_epochs} epochs is over; build a new Pruner to train on.")
        began = time.perf_counter()
        request = Request(self.table, self.kept[self.epoch], self.epoch, self.num_epochs, self.seed)
        plan = self._planner.make(self.policy, request)
        seconds = self._counters.seconds_selecting + time.perf_counter() - began
        self._counters = replace(self._counters, seconds_selecting=seconds)
        return self._run(plan)

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
            start, consumed_rows, global_batch,
        )  # fmt: skip
        return self._running

    def _agree_on_plan(self) -> None:
        """With several ranks: make the epoch's plan now, where all of them are, and compare it."""
        if self.world.size > 1 and self.epoch < self.num_epochs:
            running = self._now()
            values = {"epoch": self.epoch, "start": running.start, "plan": running.plan.agreed}
            check_agreement(self.world, values)

    def _flush(self) -> None:
        """Move what the running epoch's steps have observed into the table; all ranks must call it."""
        running = self._current()
        exchanged = running.exchanged() if running else None
        if not running or exchanged is None:
            return

        def apply() -> None:
            if self.policy.columns:
                self.policy.update(self.table, exchanged.seen.latest(~exchanged.bad))
            seen, counters = exchanged.seen, self._counters
            self.table.record(seen.ids, seen.loss, seen.memory, running.plan.epoch, seen.trained)
            running.applied(exchanged)
            self._counters = replace(
                counters, samples_forward=counters.samples_forward + exchanged.samples,
                steps=counters.steps + exchanged.steps,
            )  # fmt: skip

        uninterrupted(apply)
        self._update_totals()

    def _update_totals(self) -> None:
        """Sum up a partitioned table over all ranks: for reports, which do not wait for other ranks."""
        self._totals = totals_of(self.table) if self.is_partitioned else None
