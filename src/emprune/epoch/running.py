"""RunningEpoch: an epoch in progress, its plan and what its steps have observed so far."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.checks import check_ids, check_range
from emprune.distributed.rank_slice import RankSlice
from emprune.distributed.world import World
from emprune.epoch.exchange import deduplicated, exchange
from emprune.epoch.inputs import StepInputs, StepValues
from emprune.epoch.observations import (
    ObservationBuffer,
    OnNonFinite,
    Step,
    nonfinite,
    raise_nonfinite,
)
from emprune.epoch.plan import EpochPlan
from emprune.epoch.weights import Weights
from emprune.errors import EmpruneError, EpochOrderError, StateError
from emprune.policies.base import BatchRequest, BatchSelection, InBatchPolicy, Policy
from emprune.seeding import generator
from emprune.table import Observations


class Exchanged(NamedTuple):
    """What steps have observed since the last flush, exchanged and checked, for the rows of this rank.

    Attributes:
        seen: ids are rows; losses that are not finite are NaN.
        bad: bool, shape [M]: whether a value that the policy ranks by was not finite.
        samples: forwarded by all ranks.
        steps: training steps of this rank.
    """

    seen: Observations
    bad: NDArray[np.bool_]
    samples: int
    steps: int


class RunningEpoch:
    """One epoch between its plan and its end.

    Attributes:
        plan: what the epoch trains on.
        start: position in the plan at which iteration begins; not 0 only after a restore in mid-epoch.
        consumed: samples of the plan that training steps have consumed, those before ``start`` included; of
            several ranks, this one's estimate for all.
        consumed_rows: bool, shape [rows]: the same up to the last flush, by row of this rank's score table.
        global_batch: samples that all ranks train in a step, as far as known: of the first step, or restored.
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
        self.plan, self.start, self.consumed = plan, start, start
        self.global_batch = global_batch
        self._policy, self._k, self._seed, self._on_nonfinite = policy, k, seed, on_nonfinite
        self._world, self._owned = world, owned
        self.selects_in_batch = isinstance(policy, InBatchPolicy) and k < plan.num_samples
        self._inputs = StepInputs(policy, has_memory)
        self._buffer = ObservationBuffer(self._inputs.recorded)
        if consumed_rows is None:
            consumed_rows = np.zeros(owned.size, dtype=bool)
            consumed_rows[plan.ids[:start]] = True
        self.consumed_rows = consumed_rows

    def select_batch(self, ids: torch.Tensor, values: StepValues) -> BatchSelection:
        """Check and record a training step; see :meth:`emprune.Pruner.select_batch`."""
        step = self._checked(ids, values)
        chosen = BatchSelection(weights=self._plan_weights(step))
        k = self._batch_share(len(ids))
        if isinstance(self._policy, InBatchPolicy) and k < len(ids):
            rng = generator(self._seed, self.plan.epoch, f"batch at {self._begin(len(ids))}")
            inputs = self._read(step) | self._inputs.of_batch(values, len(ids))
            chosen = self._policy.select_within_batch(BatchRequest(inputs, k, rng))
            _check_chosen(self._policy, chosen, k, len(ids))
        self._record(step, True if chosen.positions is None else chosen.positions, is_train_step=True)
        self.global_batch = self.global_batch or len(ids) * self._world.size
        # Of a partitioned plan this rank holds its own partition alone.
        self.consumed += len(ids) * (self._world.size if self._owned.is_whole else 1)
        return chosen

    def observe(self, ids: torch.Tensor, values: StepValues) -> None:
        """Check and record values of a forward pass that is no training step."""
        step = self._checked(ids, values)
        if step.ids.device.type == "cpu":
            check_range(step.ids.numpy(), self.plan.num_samples)
            self._raise_nonfinite(step)
        self._record(step, False, is_train_step=False)

    def rank_ids(self, batch_size: int, *, drop_last: bool) -> NDArray[np.int64]:
        """int64, shape [M]: what this rank trains of the rest of the epoch; see :meth:`emprune.Pruner.rank_ids`.

        Raises:
            StateError: the epoch was begun with another global batch.
        """
        ranks, begun_with = self._world.size, self.global_batch
        # A partitioned plan has one batch size, which its planner checks, though its only batch may be smaller.
        begun = self._owned.is_whole and 0 < self.start < self.plan.count
        if begun and begun_with not in (0, batch_size * ranks):
            raise StateError(
                f"the global batch is {batch_size * ranks} here ({batch_size} on each of {ranks} ranks), but the epoch "
                f"was begun with {begun_with}. Use a batch size of {begun_with}/{ranks}, or restore at an epoch's end."
            )
        return self.plan.rank_ids(self.start, batch_size, self._world, drop_last=drop_last)

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
        if not len(self._buffer) and self._world.size == 1:
            return None
        self._inputs.agree(self._world)
        seen, forwarded = self._collected()
        if self._world.size > 1:
            seen = deduplicated(seen, self.consumed_rows, in_batch=self.selects_in_batch)
        self._raise_foreign(self._on_all_ranks(seen, seen.trained & np.isnan(self.plan.row_weights[seen.ids])))
        columns = seen.columns()
        bad = nonfinite([columns[name] for name in self._inputs.read])
        if self._on_nonfinite == "error":
            raise_nonfinite(self._on_all_ranks(seen, bad), self._inputs.read)
        seen = replace(seen, loss=np.where(bad, np.float32(np.nan), seen.loss))
        return Exchanged(seen, bad, forwarded, self.unflushed_steps)

    def applied(self, exchanged: Exchanged) -> None:
        """Count what is in the table now as consumed."""
        seen = exchanged.seen
        self.consumed_rows[seen.ids[seen.is_train_step]] = True
        self._buffer.clear()

    def consumed_first(self) -> tuple[EpochPlan, int]:
        """The plan with the samples consumed up to the last flush at its head, and how many these are.

        The plan itself where steps came in its order; the rest keeps its order always, so that an epoch
        restored from here trains exactly what is left, batches skipped or overtaken included.
        """
        return self.plan.consumed_first(self.consumed_rows, self._owned)

    @cached_property
    def _weight_of(self) -> Weights:
        return self.plan.weights_by_id()

    def _collected(self) -> tuple[Observations, int]:
        """What was observed of the rows of this rank since the last flush, ids as rows; and of how many in all.

        Raises:
            ArgumentError: an id is no dataset position, on any rank.
        """
        local, owned = self._buffer.collect(), self._owned
        seen = exchange(local, owned, self._world)
        outside = (seen.ids < 0) | (seen.ids >= self.plan.num_samples)
        check_range(owned.all_gather(seen.ids[outside]), self.plan.num_samples)
        seen.ids -= owned.begin
        return seen, owned.total(len(seen.ids))

    def _on_all_ranks(self, seen: Observations, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Sample ids of the rows marked by any rank, so that all of them raise the same error."""
        return self._owned.all_gather(seen.ids[which] + self._owned.begin)

    def _plan_weights(self, step: Step) -> torch.Tensor | None:
        """float32, shape [B], on the loss's device, or None for ones; checks what lies on the CPU.

        Checks are one sum, which only a fault makes NaN or infinite, because each further operation costs a
        step more (20 to 40 µs between the model's, out of the processor's caches) than its own work.
        """
        ids, device = step.ids, step.values.device
        if ids.device.type != "cpu":
            if not self.plan.is_weighted:
                return None
            return self._weight_of(ids).to(device)
        try:
            weights = self._weight_of(ids)
        except (IndexError, RuntimeError):
            check_range(ids.numpy(), self.plan.num_samples)
            raise
        # One rank must not raise alone, or else the others wait for it: with several, non-finite values are found by
        # all of them when they exchange observations.
        readable = device.type == "cpu" and self._world.size == 1
        read = step.values if readable else torch.ones_like(weights)[None]
        if not math.isfinite(sum(read.mv(weights).tolist())):
            check_range(ids.numpy(), self.plan.num_samples)
            self._raise_foreign(ids[torch.isnan(weights)].numpy())
            self._raise_nonfinite(step)
        return weights.to(device, non_blocking=True) if self.plan.is_weighted else None

    def _read(self, step: Step) -> dict[str, torch.Tensor]:
        """What the policy reads of the values recorded, float32, shape [B] each."""
        return {name: row for name, row in zip(step.names, step.values, strict=True) if name in self._inputs.read}

    def _raise_nonfinite(self, step: Step) -> None:
        """Raise where values on the CPU are not finite, unless these are to be quarantined."""
        if self._on_nonfinite == "error" and self._world.size == 1 and step.values.device.type == "cpu":
            bad = nonfinite([column.numpy() for column in self._read(step).values()])
            raise_nonfinite(step.ids.cpu().numpy()[bad], self._inputs.read)

    def _batch_share(self, batch_size: int) -> int:
        """Samples of the next batch that go through backward; the shares of an epoch add up to k."""
        if not self.selects_in_batch:
            return batch_size
        num_samples, before = self.plan.num_samples, self._begin(batch_size)
        after = min(before + batch_size, num_samples)  # padding has no share
        return max(0, after * self._k // num_samples - before * self._k // num_samples)

    def _begin(self, batch_size: int) -> int:
        """Position in the plan at which this rank's next batch begins."""
        return self.consumed + self._world.rank * batch_size

    def _checked(self, ids: torch.Tensor, values: StepValues) -> Step:
        """What is recorded of a step, types and shapes checked."""
        check_ids(ids)
        return Step.of(ids, self._inputs.of_samples(values, len(ids)))

    def _record(self, step: Step, trained: bool | torch.Tensor, *, is_train_step: bool) -> None:
        self._buffer.add(step, trained, is_train_step=is_train_step)
        self._inputs.took("memory" in step.names)

    def _raise_foreign(self, ids: NDArray[np.int64]) -> None:
        """Raise the error that names ids outside the plan; nothing for an empty array."""
        if len(ids):
            raise EpochOrderError(
                f"{len(ids)} id(s) are not in the plan of the running epoch {self.plan.epoch}, the first is "
                f"{ids[0]}; train on the batches of this epoch's loader, and end an epoch before the next begins."
            )


def _check_chosen(policy: Policy, chosen: BatchSelection, k: int, batch_size: int) -> None:
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
