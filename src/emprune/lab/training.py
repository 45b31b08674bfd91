"""Training: model, optimiser and pruner of one run, the plain loop around them, and its checkpoint."""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import emprune
from emprune import Policy
from emprune.errors import DataError
from emprune.lab.augment import shift_and_flip
from emprune.lab.data import ImageData
from emprune.lab.evaluate import EVALUATION_BATCH, Evaluation
from emprune.lab.learning_rate import LearningRate
from emprune.lab.network import Network
from emprune.lab.optimizers import build_optimizer
from emprune.lab.resident import ResidentImages
from emprune.lab.results import write_atomically
from emprune.lab.spec import RunSpec, build_pruner


class Training:
    """One run in memory, with all data on the device.

    Args:
        spec: what to train.
        data: the set, imbalance and label noise included.
        device: where.
        policy: instead of the one that the spec's label names.
        compiled: whether the model goes through torch.compile.
        watch: called with each step's ids, logits and labels.

    Attributes:
        history: one entry for each finished epoch: kept, loss, accuracy, seconds.
        seconds: spent training so far, in all sessions of the run.
        seconds_scoring: spent on forward passes that only refresh scores, likewise.

    Raises:
        ArgumentError: the model has fewer outputs than the data has classes.
    """

    def __init__(
        self,
        spec: RunSpec,
        data: ImageData,
        device: str = "cpu",
        *,
        policy: Policy | None = None,
        compiled: bool = False,
        watch: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], None] | None = None,
    ) -> None:
        recipe = spec.recipe
        self.spec, self.data, self.device = spec, data, torch.device(device)
        self.images = ResidentImages(data.images, self.device, recipe.pool)
        self.labels = data.labels.to(self.device)
        self.network = Network(recipe, self.images.shape, data, spec.seed, self.device, compiled=compiled)
        self.model = self.network.model
        self.pruner = build_pruner(spec, len(data), policy)
        self._watch = watch
        self.optimizer = build_optimizer(recipe, self.model.parameters())
        self.learning_rate = LearningRate(self.optimizer, recipe, self.pruner)
        self.history: list[dict[str, float]] = []
        self.seconds = self.seconds_scoring = 0.0
        self._epoch_sums = self._zero_sums()

    def epochs(self, after_step: Callable[[], None]) -> None:
        """Train what is left of the run.

        Args:
            after_step: called between steps; may save a checkpoint, and may raise to stop.
        """
        self.model.train()
        batches = emprune.IdBatches(self.pruner, self.spec.recipe.batch_size)
        for _ in self.pruner.epochs():
            for ids in batches:
                began = time.perf_counter()
                self._step(ids)
                self._add_seconds(time.perf_counter() - began)
                after_step()
            self._observe_hidden()
            self.history.append(self._epoch_entry())
            self._epoch_sums = self._zero_sums()

    def evaluate_test(self) -> Evaluation:
        """The model on the images held out."""
        images = ResidentImages(self.data.test_images, self.device, self.spec.recipe.pool)
        return self.network.evaluate(images, self.data.test_labels.to(self.device))

    def evaluate_train(self) -> Evaluation:
        """The model on the whole training set, against the labels trained on."""
        return self.network.evaluate(self.images, self.labels)

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
        state |= {"history": self.history, "sums": self._epoch_sums}
        state |= {"seconds": self.seconds, "scoring": self.seconds_scoring}
        packed = io.BytesIO()
        torch.save(state, packed)
        write_atomically(path, packed.getvalue())

    def restore(self, path: Path) -> None:
        """Go on from a file written by :meth:`save`, in mid-epoch too.

        Raises:
            DataError: the file is damaged.
        """
        try:
            state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
            raise DataError(f"{path} is damaged; remove it to begin this run again.") from error
        self.pruner.load_state_dict(state["pruner"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.learning_rate.load_state_dict(state["scheduler"])
        self.history, self._epoch_sums, self.seconds = state["history"], state["sums"], state["seconds"]
        self.seconds_scoring = state["scoring"]

    def _step(self, ids: torch.Tensor) -> None:
        recipe, position = self.spec.recipe, self._epoch_sums["samples"]
        images = shift_and_flip(self.images[ids], recipe.shift, self.spec.seed, self.pruner.epoch, position)
        labels = self.labels[ids]
        self.learning_rate.before_step()
        if self.forwards_first:
            logits, loss = self._backward_part(ids, images, labels)
        else:
            _, logits = self.network.forward(images)
            loss, memory = self._score(logits, labels)
            self.pruner.loss(ids, loss, memory).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self._watch:
            self._watch(ids, logits, labels)
        self._epoch_sums["samples"] += len(ids)
        self._epoch_sums["loss"] += loss.detach().sum()
        self._epoch_sums["right"] += (logits.argmax(1) == labels).sum()
        self.learning_rate.after_step(self._epoch_sums["samples"])

    @property
    def forwarded_again(self) -> int:
        """Samples that were forwarded a second time, since their batch was forwarded first to choose them."""
        full = sum(k for k in self.pruner.kept[: self.pruner.epoch] if k == self.pruner.num_samples)
        return self.pruner.report().samples_backward - full if self.pruner.policy.within_batch else 0

    @property
    def forwards_first(self) -> bool:
        """Whether the running epoch forwards each batch without gradient, and once more the part it trains.

        Twice forward for a part is cheaper than backward for all: one forward costs half a backward.
        """
        return self.pruner.policy.within_batch and self.pruner.kept[self.pruner.epoch] < self.pruner.num_samples

    def _backward_part(
        self, ids: torch.Tensor, images: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Forward the batch, let the policy choose, train the chosen; logits [B, C] and losses [B] of all."""
        with torch.no_grad():
            features, logits = self.network.forward(images)
            loss, memory = self._score(logits, labels)
        if self.pruner.policy.needs_features:
            features = emprune.scoring.gradient_products(logits, labels, features)
        chosen = self.pruner.select_batch(ids, loss, memory, features=features)
        if chosen.positions is None or not len(chosen.positions):
            return logits, loss
        part = chosen.positions
        trained, _ = self._score(self.network.forward(images[part])[1], labels[part])
        weighted = trained if chosen.weights is None else trained * chosen.weights
        weighted.mean().backward()  # type: ignore[no-untyped-call]
        return logits, loss

    def _score(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scorer = getattr(emprune.scoring, self.pruner.policy.scorer)
        loss, memory = scorer(logits, labels, label_smoothing=self.spec.recipe.label_smoothing)
        return loss, memory

    @torch.no_grad()
    def _observe_hidden(self) -> None:
        """Refresh the scores of what the epoch left out, for policies that ask for it; not augmented."""
        if not self.pruner.policy.observes_hidden:
            return
        began = time.perf_counter()
        self.model.eval()
        for ids in torch.from_numpy(self.pruner.plan.left_out).split(EVALUATION_BATCH):  # type: ignore[no-untyped-call]
            _, logits = self.network.forward(self.images[ids])
            self.pruner.observe(ids, *self._score(logits, self.labels[ids]))
        self.model.train()
        self.seconds_scoring += time.perf_counter() - began

    def _add_seconds(self, seconds: float) -> None:
        self.seconds += seconds
        self._epoch_sums["seconds"] += seconds

    def _zero_sums(self) -> dict[str, Any]:
        zero = torch.zeros((), device=self.device)
        return {"samples": 0, "loss": zero.clone(), "right": zero.clone(), "seconds": 0.0}

    def _epoch_entry(self) -> dict[str, float]:
        sums = self._epoch_sums
        samples = max(1, sums["samples"])
        return {
            "kept": sums["samples"],
            "loss": float(sums["loss"]) / samples,
            "accuracy": float(sums["right"]) / samples,
            "seconds": sums["seconds"],
        }
