"""RunningEpoch: an epoch in progress, its plan and what its steps have observed so far."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.checks import check_ids, check_range
from emprune.distributed.rank_slice import RankSlice
from emprune.distributed.world import World
from emprune.epoch.batch_shares import BatchShares
from emprune.epoch.exchange import deduplicated, exchange, last_passes
from emprune.epoch.expected import ExpectedIds
from emprune.epoch.gaps import dealt_twice, skipped_twice
from emprune.epoch.inputs import StepInputs, StepValues
from emprune.epoch.observations import (
    ObservationBuffer,
    OnNonFinite,
    Step,
    are_finite,
    copy_of,
    nonfinite,
    raise_nonfinite,
    to_host,
)
from emprune.epoch.passes import Passes
from emprune.epoch.plan import EpochPlan
from emprune.epoch.weights import Weights
from emprune.errors import EmpruneError, EmpruneWarning, EpochOrderError, StateError
from emprune.policies.base import BatchRequest, BatchSelection, InBatchPolicy, Policy
from emprune.seeding import generator
from emprune.table import Observations


class Exchanged(NamedTuple):
    """What steps have observed since the last flush, exchanged and checked, for the rows of this rank.

    Attributes:
        seen: ids are rows; losses that are not finite are NaN.
        bad: bool, shape [M]: whether a value that the policy ranks by was not finite.
        samples: forwarded by all ranks, each as often as it was.
        steps: training steps of this rank.
        taken: the steps that all of this comes from.
    """

    seen: Observations
    bad: NDArray[np.bool_]
    samples: int
    steps: int
    taken: ObservationBuffer


_WHOLE = BatchSelection()


class RunningEpoch:
    """One epoch between its plan and its end.

    Attributes:
        plan: what the epoch trains on.
        start: position in the plan at which iteration begins; not 0 only after a restore in mid-epoch.
        consumed_rows: bool, shape [rows]: samples of the plan that training steps have consumed up to the last flush,
            by row of this rank's score table.
        global_batch: samples that all ranks train in a step, as far as known: that of the loader which iterates, or
            restored; else 0.
        selects_in_batch: whether the policy chooses a part of each batch.
    """

    def __init__(
        self,
        plan: EpochPlan,
        policy: Policy,
        k: int,
        seed: int,
        on_nonfinite: OnNonFinite,
        world: World,
        owned: RankSlice,
        start: int = 0,
        consumed_rows: NDArray[np.bool_] | None = None,
        global_batch: int = 0,
        has_memory: bool | None = None,
    ) -> None:
        self.plan, self.start = plan, start
        self.global_batch = global_batch
        self._dropped: int | None = None
        self._policy, self._k, self._seed, self._on_nonfinite = policy, k, seed, on_nonfinite
        self._world, self._owned = world, owned
        self.selects_in_batch = isinstance(policy, InBatchPolicy) and k < plan.num_samples
        share = len(plan) - start if owned.is_whole else world.size * (len(plan) - start)
        self._passes = Passes(plan, -(-share // world.size))
        self._shares = BatchShares(plan, k, start, world)
        self._expected = ExpectedIds(plan.ids[start:])
        self._warned_of_passes = False
        self._inputs = StepInputs(policy, has_memory)
        self._buffer = ObservationBuffer(self._inputs.recorded)
        if consumed_rows is None:
            consumed_rows = np.zeros(owned.size, dtype=bool)
            consumed_rows[plan.ids[:start]] = True
        self.consumed_rows = consumed_rows
        self._flushed = start

    @property
    def consumed(self) -> int:
        """Samples of the plan that training steps have consumed, those before ``start`` included.

        Of several ranks, this one's estimate for all. Ids on a device count from the next flush on.
        """
        # Of a partitioned plan this rank holds its own partition alone.
        ranks = self._world.size if self._owned.is_whole else 1
        here = min(len(self.plan), self.start + self._passes.distinct * ranks)
        return max(here, self._flushed) if self._owned.is_whole else here

    @property
    def has_begun(self) -> bool:
        """Whether a training step has been taken on this rank, or before the epoch was restored."""
        return self.start > 0 or self._passes.passed > 0

    def select_batch(self, ids: torch.Tensor, values: StepValues) -> BatchSelection:
        """Check and record a training step; see :meth:`emprune.Pruner.select_batch`."""
        check_ids(ids)
        given = self._inputs.of_samples(values, size := ids.shape[0])
        copied = copy_of(ids)
        expected = self._expected.are_next(copied)
        weights = None
        if self.plan.is_weighted or not expected:
            weights = self._plan_weights(ids, given["loss"].device, known=expected)
        step, chosen = Step.of(copied, given), BatchSelection(weights=weights) if weights is not None else _WHOLE
        self._check_finite(step)
        if self._passes.begins_second_round(copied, size):
            self._raise_second_round()
        if self.selects_in_batch:
            chosen = self._chosen(ids, given, values, chosen)
        self._record(step, True if chosen.positions is None else chosen.positions, is_train_step=True)
        self._passes.add(copied, size)
        if expected:
            self._expected.advance(size)
        if self._passes.are_many and not self._warned_of_passes:
            self._warn_of_passes()
        return chosen

    def _chosen(
        self, ids: torch.Tensor, given: dict[str, torch.Tensor], values: StepValues, whole: BatchSelection
    ) -> BatchSelection:
        """What an in-batch policy chooses of the batch, or chose when it came before; ``whole`` where that is all."""
        policy, chosen, copied = self._policy, whole, ids.clone()
        if before := self._shares.chosen_before(ids, copied):
            return before
        begin, k = self._shares.of(copied)
        if isinstance(policy, InBatchPolicy) and k < len(ids):
            rng = generator(self._seed, self.plan.epoch, f"batch at {begin}")
            device = given["loss"].device
            inputs = {
                name: given[name].to(device, torch.float32, copy=True) for name in self._inputs.read if name in given
            }
            inputs |= self._inputs.of_batch(values, len(ids))
            chosen = policy.select_within_batch(BatchRequest(inputs, k, rng))
            check_chosen(policy, chosen, k, len(ids))
        self._shares.keep(ids, copied, chosen)
        return chosen

    def observe(self, ids: torch.Tensor, values: StepValues) -> None:
        """Check and record values of a forward pass that is no training step."""
        check_ids(ids)
        given = self._inputs.of_samples(values, len(ids))
        if ids.is_cpu:
            check_range(ids.numpy(), self.plan.num_samples)
        step = Step.of(copy_of(ids), given)
        self._check_finite(step)
        self._record(step, False, is_train_step=False)

    def rank_ids(self, batch_size: int, *, drop_last: bool) -> NDArray[np.int64]:
        """int64, shape [M]: what this rank trains of the rest of the epoch; see :meth:`emprune.Pruner.rank_ids`.

        Raises:
            StateError: the epoch was begun with another global batch.
        """
        ranks, begun_with = self._world.size, self.global_batch
        # A partitioned plan has one batch size, which its planner checks, though its only batch may be smaller. One
        # rank goes on with what is left, however that is cut.
        begun = ranks > 1 and self._owned.is_whole and 0 < self.start < self.plan.count
        if begun and begun_with not in (0, batch_size * ranks):
            raise StateError(_other_global_batch(batch_size, ranks, begun_with))
        ids = self.plan.rank_ids(self.start, batch_size, self._world, drop_last=drop_last)
        self.global_batch = batch_size * ranks
        start = self.start if self._owned.is_whole else self.start * ranks
        self._dropped = (self.plan.count - start) % self.global_batch if drop_last else 0
        self._iteration_begins(ids, batch_size)
        return ids

    def remaining_ids(self) -> NDArray[np.int64]:
        """What is left of the epoch in the plan's order, for one rank alone."""
        ids = self.plan.ids[self.start :]
        self._iteration_begins(ids, None)
        return ids

    def rank_count(self, batch_size: int, *, drop_last: bool) -> int:
        """M of :meth:`rank_ids`; tells the epoch nothing, and raises nothing."""
        return self.plan.rank_count(self.start, batch_size, self._world, drop_last=drop_last)

    @property
    def unflushed_steps(self) -> int:
        """Training steps of this rank since the last flush."""
        return self._buffer.training_steps

    def exchanged(self) -> Exchanged | None:
        """What all ranks' steps have observed of this rank's rows; None where there is nothing.

        :meth:`applied` must follow once it is in the table. All ranks must call it.

        Raises:
            ArgumentError, EpochOrderError, NonFiniteError: what could not be seen in the step without waiting for a
                device.
            RankError: some ranks gave a memory term and others none.
        """
        taken = self._buffer.snapshot()
        if not len(taken) and self._world.size == 1:
            return None
        self._inputs.agree(self._world)
        seen, forwarded = self._collected(taken)
        if self._world.size > 1:
            seen = deduplicated(seen, self.consumed_rows, in_batch=self.selects_in_batch)
        else:
            # Observed again, but trained once an epoch.
            seen.trained &= ~self.consumed_rows[seen.ids]
        self._raise_foreign(self._on_all_ranks(seen, seen.trained & np.isnan(self.plan.row_weights[seen.ids])))
        columns = seen.columns()
        bad = nonfinite([columns[name] for name in self._inputs.read])
        if self._on_nonfinite == "error":
            raise_nonfinite(self._on_all_ranks(seen, bad), self._inputs.read)
        seen = replace(seen, loss=np.where(bad, np.float32(np.nan), seen.loss))
        return Exchanged(seen, bad, forwarded, taken.training_steps, taken)

    def is_next(self, exchanged: Exchanged) -> bool:
        """Whether these observations are still to be applied: nobody else has done so meanwhile."""
        return exchanged.taken.cleared == self._buffer.cleared

    def applied(self, exchanged: Exchanged) -> None:
        """Count what is in the table now as consumed."""
        seen = exchanged.seen
        self.consumed_rows[seen.ids[seen.is_train_step]] = True
        self._buffer.clear(len(exchanged.taken))
        if self._owned.is_whole:
            self._flushed = int(np.count_nonzero(self.consumed_rows))

    @property
    def dropped(self) -> int:
        """Samples that the loader which iterates leaves out; less than a global batch where it has not said."""
        if self._dropped is None:
            return max(0, self._passes.largest * self._world.size - 1)
        return self._dropped

    def untrained(self) -> int:
        """Samples of the plan that no training step has consumed up to the last flush; all ranks must call it."""
        return self.plan.count - self._owned.count(self.consumed_rows)

    def consumed_first(self) -> tuple[EpochPlan, int]:
        """The plan with the samples consumed up to the last flush at its head, and how many these are.

        The plan itself where steps came in its order; the rest keeps its order always, so that an epoch
        restored from here trains exactly what is left, batches skipped or overtaken included.
        """
        return self.plan.consumed_first(self.consumed_rows, self._owned)

    def check_gaps(self) -> None:
        """Raise where the samples left out by the last flush say that the loader was wrapped; all ranks must call it.

        Raises:
            EpochOrderError: each rank's part was dealt out among the ranks again, or batches were skipped that the
                restored plan begins after.
        """
        owned, ranks = self._owned, self._world.size
        if owned.count(self.consumed_rows) >= self.plan.count or (ranks == 1 and not self.start):
            return
        # Padding has been trained at the plan's head, and says nothing of its end.
        done = self.plan.done(self.consumed_rows, owned)[: self.plan.own_count]
        batch = self.global_batch if owned.is_whole else self.global_batch // ranks
        # With a partitioned plan each rank has looked at its own part.
        found = dealt_twice(done[self.start :], ranks, batch), skipped_twice(done, self.start)
        twice, skipped = owned.counts(*found).sum(axis=0)
        if twice:
            raise EpochOrderError(
                f"epoch {self.plan.epoch} ends, but only about one in {ranks} samples of its plan was trained: its "
                f"loader gives each rank its part, which was dealt out among the {ranks} ranks once more. Take "
                "emprune.integrations.accelerate.prepare_loader instead of accelerator.prepare, and no "
                "DistributedSampler around the loader's own sampler (Lightning: use_distributed_sampler=False)."
            )
        if skipped:
            raise EpochOrderError(
                f"epoch {self.plan.epoch} ends, but {skipped} samples were never trained, the first ones after where "
                "it was restored: the loader of a restored pruner begins there by itself. Do not skip batches of it "
                "(accelerate's skip_first_batches, or a loader's own state)."
            )

    @cached_property
    def _weight_of(self) -> Weights:
        return self.plan.weights_by_id()

    def _collected(self, taken: ObservationBuffer) -> tuple[Observations, int]:
        """What was observed of the rows of this rank, ids as rows; and how many samples all ranks forwarded for it.

        Raises:
            ArgumentError: an id is no dataset position, on any rank.
        """
        local, owned = taken.collect(), self._owned
        forwarded = sum(int(part[0]) for part in self._world.all_gather_same_size(np.array([len(local.ids)])))
        seen = exchange(last_passes(local), owned, self._world)
        outside = (seen.ids < 0) | (seen.ids >= self.plan.num_samples)
        check_range(owned.all_gather(seen.ids[outside]), self.plan.num_samples)
        seen.ids -= owned.begin
        return seen, forwarded

    def _on_all_ranks(self, seen: Observations, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Sample ids of the rows marked by any rank, so that all of them raise the same error."""
        return self._owned.all_gather(seen.ids[which] + self._owned.begin)

    def _iteration_begins(self, ids: NDArray[np.int64], batch_size: int | None) -> None:
        self._passes.iteration_begins(len(ids), batch_size)
        self._expected = ExpectedIds(ids.copy())  # the array is given out as well

    def _plan_weights(self, ids: torch.Tensor, device: torch.device, *, known: bool) -> torch.Tensor | None:
        """float32, shape [B], on this device, or None for ones; checks ids on the CPU.

        Args:
            known: whether the ids are known to be of the plan; then the plan has weights.
        """
        weighted = self.plan.is_weighted
        if not ids.is_cpu:
            return self._weight_of(ids).to(device) if weighted else None
        try:
            weights = self._weight_of(ids)
        except (IndexError, RuntimeError):
            check_range(ids.numpy(), self.plan.num_samples)
            raise
        if not known and math.isnan(weights.sum().item()):
            check_range(ids.numpy(), self.plan.num_samples)
            self._raise_foreign(ids[torch.isnan(weights)].numpy())
        return weights.to(device, non_blocking=True) if weighted else None

    def _check_finite(self, step: Step) -> None:
        """Raise where values on the CPU are not finite, unless these are to be quarantined.

        One rank must not raise alone, or else the others wait for it: with several, such values are found by all of
        them when they exchange observations.
        """
        if self._on_nonfinite != "error" or self._world.size > 1 or isinstance(step.ids, torch.Tensor):
            return
        read = self._inputs.read
        for name, row in zip(step.names, step.values, strict=True):
            if name in read and not are_finite(row):
                columns = [to_host([step.row(name)], np.float32) for name in read if name in step.names]
                raise_nonfinite(to_host([step.ids], np.int64)[nonfinite(columns)], read)

    def _record(self, step: Step, trained: bool | torch.Tensor, *, is_train_step: bool) -> None:
        self._buffer.add(step, trained, is_train_step=is_train_step)
        self._inputs.took("memory" in step.names)

    def _raise_foreign(self, ids: NDArray[np.int64]) -> None:
        """Raise the error that names ids outside the plan; nothing for an empty array."""
        if len(ids):
            raise EpochOrderError(
                f"{len(ids)} id(s) are not in the plan of the running epoch {self.plan.epoch}, the first is "
                f"{ids[0]}; train on the batches of this epoch's loader, and end an epoch before the next begins. "
                "Batches of validation go to pruner.observe, or to no method of the pruner's."
            )

    def _raise_second_round(self) -> None:
        raise EpochOrderError(
            f"this step begins a second round over the plan of epoch {self.plan.epoch}: pruner.end_epoch() is missing. "
            "Call it after each round over the loader, in a loop by steps too; `for _ in pruner.epochs():` around the "
            "loop does. To go on with what is left of an interrupted epoch, begin `for _ in pruner.epochs():` again."
        )

    def _warn_of_passes(self) -> None:
        self._warned_of_passes = True
        warnings.warn(
            f"steps of epoch {self.plan.epoch} have passed its {self._passes.share} samples a hundred times. If each "
            "round over the loader is to be an epoch, pruner.end_epoch() is missing after it.",
            EmpruneWarning, stacklevel=4,
        )  # fmt: skip


def _other_global_batch(batch_size: int, ranks: int, begun_with: int) -> str:
    hint = f"Give the loader batch_size={begun_with // ranks}"
    if begun_with % ranks:
        hint = f"Start a number of ranks that divides {begun_with}"
    return (
        f"the global batch is {batch_size * ranks} here ({batch_size} on each of {ranks} ranks), but the epoch was "
        f"begun with {begun_with}. {hint}; or go on with what is left in other batches: "
        'emprune.checkpoint.restore(..., allow={"batch_size"}), or state["counters"]["global_batch"] = 0 before '
        "load_state_dict."
    )


def check_chosen(policy: Policy, chosen: BatchSelection, k: int, batch_size: int) -> None:
    """Raise unless ``chosen`` is k distinct positions; their values are read only on the CPU."""
    if not isinstance(chosen, BatchSelection):
        raise EmpruneError(
            f"policy {policy.name!r} chose {type(chosen).__name__}; asked for a BatchSelection. "
            "Fix its select_within_batch()."
        )
    positions, fault = chosen.positions, None
    if positions is None or positions.shape != (k,) or positions.dtype != torch.int64:
        found = None if positions is None else f"{positions.dtype} of shape {tuple(positions.shape)}"
        fault = f"positions {found}; asked for int64 of shape [{k}]"
    elif chosen.weights is not None and chosen.weights.shape != (k,):
        fault = f"weights of shape {tuple(chosen.weights.shape)}; asked for [{k}]"
    elif positions.device.type == "cpu" and set(positions.tolist()) - set(range(batch_size)):
        fault = f"positions {positions.tolist()}; allowed: 0 to {batch_size - 1}"
    elif positions.device.type == "cpu" and len(set(positions.tolist())) != k:
        fault = f"repeated positions {positions.tolist()}"
    if fault:
        raise EmpruneError(f"policy {policy.name!r} chose {fault}. Fix its select_within_batch().")
