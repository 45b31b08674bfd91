"""Pre-training on text as a task: samples are windows, a window's scores are means over the tokens it predicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from emprune.errors import ArgumentError
from emprune.scoring import tokens
from emprune_lab.networks.network import seeded, step_seed
from emprune_lab.records.metrics import Metric
from emprune_lab.specs.recipe import Precision
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks.base import Scores, Task, TrainingSet
from emprune_lab.tasks.kind import Kind
from emprune_lab.tasks.text import networks
from emprune_lab.tasks.text.corpus import TEXTS, read_split
from emprune_lab.tasks.text.objectives import (
    PER_CHARACTER,
    PER_MASKED_TOKEN,
    Objective,
    Windows,
    hidden_token,
    next_token,
)
from emprune_lab.tasks.text.presets import PRESETS, TextSettings
from emprune_lab.tasks.text.show import show
from emprune_lab.tasks.text.windows import IGNORED, TextData, first_windows, text_data

QUICK_LOOK = 8
"""After an epoch, one held-out window of so many is read."""
METRICS = tuple(
    Metric(
        name, name, higher_is_better=False, scale=1.0, unit="", difference_unit="bits",
        digits=3, point=0.02,
    )
    for name in (PER_CHARACTER, PER_MASKED_TOKEN)
)  # fmt: skip
_EVALUATION_BATCH = 64


def check(spec: RunSpec, num_samples: int) -> None:
    """Raise ArgumentError where the model's name is not allowed."""
    networks.size_of(spec.recipe.model)


def load(spec: RunSpec) -> TextData:
    """The windows of a spec's text.

    Raises:
        DataError: the text is missing, or another one than the recipe names.
    """
    settings = spec.recipe.of_task(TextSettings)
    text = read_split(spec.data, spec.data_dir, settings.text, spec.split)
    data = text_data(text, settings.vocabulary, settings.window)
    size = spec.recipe.train_size
    return data if size is None else first_windows(data, size)


def build(spec: RunSpec, data: TextData, device: torch.device, *, compiled: bool = False) -> PretrainingTask:
    """The task of a spec: a GPT predicts the next token, a BERT hidden ones.

    Raises:
        ArgumentError: the model's name or the dropout is not allowed. DataError: the package transformers is missing.
    """
    recipe, dropout = spec.recipe, spec.recipe.of_task(TextSettings).dropout
    kind, _ = networks.size_of(recipe.model)
    model = networks.build(recipe.model, data.vocabulary_size, data.length, spec.seed, dropout=dropout)
    objective = next_token(data) if kind == "gpt" else hidden_token(data, spec.seed)
    return PretrainingTask(
        model, objective, spec.seed, device, dropout=dropout > 0, precision=recipe.precision, compiled=compiled
    )


class WindowBatch(NamedTuple):
    """Inputs and labels, int64, [B, T], and the seed of dropout; None: nothing is dropped, in any mode of the model."""

    inputs: torch.Tensor
    labels: torch.Tensor
    seed: int | None = None


class PretrainingTask(Task):
    """A transformer from scratch and the windows it is trained on; see :class:`emprune_lab.tasks.base.Task`.

    Args:
        model: takes tokens [B, T].
        objective: what it predicts.
        seed: of dropout.
        dropout: whether there is any.
        precision: "bfloat16" runs the model under autocast.
        compiled: whether the model goes through torch.compile.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        seed: int,
        device: torch.device,
        *,
        dropout: bool,
        precision: Precision = "float32",
        compiled: bool = False,
    ) -> None:
        self.model, self.objective, self.metric = model.to(device), objective, objective.metric
        self.num_samples = len(objective.plain.inputs)
        self.evaluation_batch = _EVALUATION_BATCH
        self._seed, self._device, self._dropout = seed, device, dropout
        self._half = precision == "bfloat16"
        self._called: Callable[[torch.Tensor], torch.Tensor] = networks.logits_of(self.model, compiled=compiled)

    def batch(self, ids: torch.Tensor, epoch: int, position: int) -> WindowBatch:
        """Windows as the epoch has them."""
        seed = step_seed(self._seed, epoch, position) if self._dropout else None
        return WindowBatch(*self._picked(self.objective.training(epoch), ids), seed)

    def plain_batch(self, ids: torch.Tensor) -> WindowBatch:
        """Windows masked always in the same way, if they are."""
        return WindowBatch(*self._picked(self.objective.plain, ids))

    def forward(self, batch: WindowBatch, inputs: tuple[str, ...] = ()) -> Scores:
        """Forward a batch; loss and memory are means over a window's predicted tokens.

        Raises:
            ArgumentError: the policy reads more than loss and memory term.
        """
        if more := sorted(set(inputs) - {"loss", "memory"}):
            found = f"one that reads {', '.join(more)}, which a text does not have"
            raise ArgumentError("policy", found, "one that reads the loss, or loss and memory term")
        self.model.train(batch.seed is not None)
        with seeded(batch.seed, self._device):
            logits = self._logits(batch.inputs)
        loss, memory = tokens(logits, batch.labels)
        right = (logits.argmax(2) == batch.labels).sum(1) / (batch.labels != IGNORED).sum(1)
        return Scores(loss, memory, right)

    def evaluate_test(self) -> dict[str, float]:
        """The metric on all held-out text."""
        return {self.metric: self._held_out(1)}

    def after_epoch(self) -> dict[str, float]:
        """The metric on a part of the held-out text, for the history."""
        return {self.metric: self._held_out(QUICK_LOOK)}

    @torch.no_grad()
    def evaluate_train(self) -> TrainingSet:
        """All windows; right is the fraction of their tokens that are predicted right."""
        found = [
            self.forward(self.plain_batch(ids))
            for ids in torch.arange(self.num_samples).split(_EVALUATION_BATCH)  # type: ignore[no-untyped-call]
        ]
        loss, entropy, right = (torch.cat([one[at] for one in found]).cpu().numpy() for at in range(3))  # type: ignore[misc]
        return TrainingSet(loss, entropy, right, right, np.zeros(self.num_samples, dtype=bool))

    def _held_out(self, every: int) -> float:
        self.model.eval()
        return self.objective.measured(self._logits, self._device, every)

    def _picked(self, windows: Windows, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return windows.inputs[ids].to(self._device), windows.labels[ids].to(self._device)

    def _logits(self, inputs: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            return self._called(inputs)


KIND = Kind(
    TextSettings, TEXTS, PRESETS, METRICS, load, build, check, lambda recipe: "no labels", honours=("compile",),
    show=show,
)  # fmt: skip
