"""Training: model, optimiser and pruner of one run, the plain loop around them, and its checkpoint."""

from __future__ import annotations

import io
import math
import pickle
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from emprune import InBatchPolicy, Policy, Pruner
from emprune.checkpoint import atomic_write
from emprune.errors import DataError
from emprune_lab.records.turns import Turns
from emprune_lab.runs.learning_rate import LearningRate
from emprune_lab.runs.optimizers import build_optimizer
from emprune_lab.runs.steps import CapturedStep, can_capture, has_resident_images, without_graph
from emprune_lab.specs.recipe import Mode
from emprune_lab.specs.spec import RunSpec, build_pruner
from emprune_lab.tasks import Data, Scores, Task, build_task


class Training:
    """One run in memory, with all data on the device.

    Args:
        spec: what to train.
        data: what the spec trains on, imbalance and label noise included.
        device: where.
        policy: instead of the one that the spec's label names.
        task: instead of the one that the spec's recipe names; it has the same data.
        pruner: instead of the one that follows from spec and policy, in a state before its first epoch.
        mode: how steps are executed; what cannot be captured as a graph is executed as it comes.
        watch: called with each step's ids and scores.

    Attributes:
        task: the model and its data.
        mode: how steps are executed: as asked for, or without a graph.
        history: one entry for each finished epoch: kept, loss, accuracy, seconds, and what the task measures.
        turns: training counts after each finished epoch.
        seconds: spent training so far, in all sessions of the run.
        seconds_scoring: spent on forward passes that only refresh scores, likewise.

    Raises:
        ArgumentError: the spec's model, recipe and data do not fit.
    """

    def __init__(
        self,
        spec: RunSpec,
        data: Data,
        device: str = "cpu",
        *,
        policy: Policy | None = None,
        task: Task | None = None,
        pruner: Pruner | None = None,
        mode: Mode = "plain",
        watch: Callable[[torch.Tensor, Scores], None] | None = None,
    ) -> None:
        recipe = spec.recipe
        self.spec, self.device = spec, torch.device(device)
        self.task = task or build_task(spec, data, self.device, compiled=mode.startswith("compile"))
        self.model = self.task.model
        self.pruner = pruner or build_pruner(spec, len(data), policy)
        self._watch = watch
        self._captured = self._captured_step() if mode.endswith("graph") else None
        self.mode = mode if self._captured else without_graph(mode)
        self._weights: torch.Tensor | None = None
        self.optimizer = build_optimizer(recipe, self.model.parameters())
        self.learning_rate = LearningRate(self.optimizer, recipe, self.pruner)
        self.history: list[dict[str, float]] = []
        self.turns = Turns()
        self.seconds = self.seconds_scoring = 0.0
        self._epoch_sums = self._zero_sums()

    def epochs(self, after_step: Callable[[], None]) -> None:
        """Train what is left of the run.

        Args:
            after_step: called between steps; may save a checkpoint, and may raise to stop.
        """
        self.model.train()
        for epoch in self.pruner.epochs():
            self.turns.after_epoch(epoch, self.pruner.table.times_trained)
            for ids in self._batches():
                began = time.perf_counter()
                self._step(ids)
                self._add_seconds(time.perf_counter() - began)
                after_step()
            self.settle()
            self._observe_hidden()
            self.history.append(self._epoch_entry() | self._decided() | self.task.after_epoch())
            self._epoch_sums = self._zero_sums()
        self.turns.after_epoch(self.pruner.epoch, self.pruner.table.times_trained)

    def settle(self) -> None:
        """Wait for the steps under way, so that their time counts as training's and not as that of what comes next."""
        began = time.perf_counter()
        float(self._epoch_sums["loss"])
        self._add_seconds(time.perf_counter() - began)

    @property
    def latest_entry(self) -> dict[str, float]:
        """The running epoch's entry of the history so far, or the last one's where none has begun."""
        return self._epoch_entry() if self._epoch_sums["samples"] or not self.history else self.history[-1]

    def save(self, path: Path) -> None:
        """Write everything that training needs to go on; the old file stays until the new one is whole."""
        parts = {
            "model": self.model,
            "optimizer": self.optimizer,
            "scheduler": self.learning_rate,
            "pruner": self.pruner,
        }
        state: dict[str, Any] = {name: part.state_dict() for name, part in parts.items()}  # type: ignore[attr-defined]
        state |= {"history": self.history, "sums": self._epoch_sums, "turns": self.turns.kept}
        state |= {"seconds": self.seconds, "scoring": self.seconds_scoring}
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, lambda new: torch.save(state, new))

    def restore(self, path: Path) -> None:
        """Go on from a file written by :meth:`save`, in mid-epoch too.

        Raises:
            DataError: the file is damaged.
        """
        try:
            state: dict[str, Any] = torch.load(
                io.BytesIO(path.read_bytes()), map_location=self.device, weights_only=True
            )
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
            raise DataError(f"{path} is damaged; remove it to begin this run again.") from error
        self.pruner.load_state_dict(state["pruner"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.learning_rate.load_state_dict(state["scheduler"])
        self.history, self._epoch_sums, self.seconds = state["history"], state["sums"], state["seconds"]
        self.seconds_scoring, self.turns = state["scoring"], Turns(state.get("turns", ()))

    def _batches(self) -> Sequence[torch.Tensor]:
        """Batches of the ids that the epoch still trains, in order; they and their weights move to the device once."""
        resident, plan = has_resident_images(self.task), self.pruner.plan
        self._weights = torch.from_numpy(plan.weights.copy()).to(self.device) if plan.is_weighted else None
        ids = torch.from_numpy(self.pruner.rank_ids(self.spec.recipe.batch_size).copy())
        if not len(ids):  # an epoch that was stopped after its last step
            return ()
        return (ids.to(self.device) if resident else ids).split(self.spec.recipe.batch_size)  # type: ignore[no-any-return,no-untyped-call]

    def _captured_step(self) -> CapturedStep | None:
        """None where a part of a batch goes backward, or the task's batches differ."""
        policy = self.pruner.policy
        if isinstance(policy, InBatchPolicy) or not can_capture(self.task):
            return None
        return CapturedStep(self.task, policy.inputs, self.spec.recipe.batch_size)  # type: ignore[arg-type]

    def _replay(self, captured: CapturedStep, ids: torch.Tensor, batch: Any) -> Scores:
        """The same as a plain step, but that the weights are needed before the scores are reported."""
        position = self._epoch_sums["samples"]
        weights = None if self._weights is None else self._weights[position : position + len(ids)]
        scores = captured(batch, weights)
        self.pruner.select_batch(ids, scores.loss, scores.memory, **scores.extra)
        return scores

    def _step(self, ids: torch.Tensor) -> None:
        batch = self.task.batch(ids, self.pruner.epoch, self._epoch_sums["samples"])
        self.learning_rate.before_step()
        if self.forwards_first:
            scores = self._backward_part(ids, batch)
        elif self._captured and self._captured.fits(batch):
            scores = self._replay(self._captured, ids, batch)
        else:
            scores = self.task.forward(batch, self.pruner.policy.inputs)
            self.pruner.loss(ids, scores.loss, scores.memory, **scores.extra).backward()  # type: ignore[no-untyped-call]
        if self.spec.recipe.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.spec.recipe.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self._watch:
            self._watch(ids, scores)
        self._epoch_sums["samples"] += len(ids)
        self._epoch_sums["loss"] += scores.loss.detach().sum()
        self._epoch_sums["right"] += scores.right.sum()
        self.learning_rate.after_step(self._epoch_sums["samples"])

    @property
    def forwarded_again(self) -> int:
        """Samples that were forwarded a second time, since their batch was forwarded first to choose them."""
        full = sum(k for k in self.pruner.kept[: self.pruner.epoch] if k == self.pruner.num_samples)
        return self.pruner.report().samples_backward - full if isinstance(self.pruner.policy, InBatchPolicy) else 0

    @property
    def forwards_first(self) -> bool:
        """Whether the running epoch forwards each batch without gradient, and once more the part it trains.

        Twice forward for a part is cheaper than backward for all: one forward costs half a backward.
        """
        return self.pruner.selects_in_batch

    def _backward_part(self, ids: torch.Tensor, batch: Any) -> Scores:
        """Forward the batch, let the policy choose, train the chosen; the scores of all."""
        with torch.no_grad():
            scores = self.task.forward(batch, self.pruner.policy.inputs)
        chosen = self.pruner.select_batch(ids, scores.loss, scores.memory, **scores.extra)
        if chosen.positions is not None and not len(chosen.positions):
            return scores
        part = batch if chosen.positions is None else self.task.part(batch, chosen.positions)
        trained = self.task.forward(part).loss
        weighted = trained if chosen.weights is None else trained * chosen.weights
        weighted.mean().backward()  # type: ignore[no-untyped-call]
        return scores

    @torch.no_grad()
    def _observe_hidden(self) -> None:
        """Refresh the scores of what the epoch left out, for policies that ask for it; not augmented."""
        policy, size = self.pruner.policy, self.task.evaluation_batch
        if not policy.observes_pruned or not len(self.pruner.plan.pruned_ids):
            return
        began = time.perf_counter()
        self.model.eval()
        hidden = torch.from_numpy(self.pruner.plan.pruned_ids)
        for ids in hidden.split(size) if len(hidden) else ():  # type: ignore[no-untyped-call]
            scores = self.task.forward(self.task.plain_batch(ids), policy.inputs)
            self.pruner.observe(ids, scores.loss, scores.memory, **scores.extra)  # type: ignore[arg-type]
        self.model.train()
        self.seconds_scoring += time.perf_counter() - began

    def _add_seconds(self, seconds: float) -> None:
        self.seconds += seconds
        self._epoch_sums["seconds"] += seconds

    def _zero_sums(self) -> dict[str, Any]:
        zero = torch.zeros((), device=self.device)
        return {"samples": 0, "loss": zero.clone(), "right": zero.clone(), "seconds": 0.0}

    def _decided(self) -> dict[str, float]:
        """What the policy shows of the epoch, such as the exponent that it sampled by."""
        pruner = self.pruner
        numbers = {name: float(pruner.table.history(name)[pruner.epoch]) for name in pruner.policy.shown}
        return {name: value for name, value in numbers.items() if math.isfinite(value)}

    def _epoch_entry(self) -> dict[str, float]:
        sums = self._epoch_sums
        samples = max(1, sums["samples"])
        return {
            "kept": sums["samples"],
            "loss": float(sums["loss"]) / samples,
            "accuracy": float(sums["right"]) / samples,
            "seconds": sums["seconds"],
        }
