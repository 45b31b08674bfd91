"""The learning rate of a run: a whole schedule over its exact steps, or over its epochs where no one knows them."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from emprune import Pruner
from emprune.errors import ArgumentError
from emprune_lab.specs.recipe import Recipe


class LearningRate:
    """The recipe's schedule, and the policy's own factor on top.

    A run whose epochs depend on the scores has no number of steps beforehand. Its position in the schedule is then
    :meth:`emprune.Pruner.progress`: of its samples where these are known in sum, else epoch by epoch.

    Attributes:
        total_steps: of the run, where they are known beforehand; else those of full data, which are more.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, recipe: Recipe, pruner: Pruner) -> None:
        self._optimizer, self._pruner = optimizer, pruner
        try:
            self.total_steps, self._known = pruner.total_steps(recipe.batch_size), True
        except ArgumentError:
            self.total_steps, self._known = -(-pruner.num_samples // recipe.batch_size) * pruner.num_epochs, False
        self._schedule = _schedule(optimizer, recipe, self.total_steps)

    def before_step(self) -> None:
        """Apply the policy's factor; :meth:`after_step` sets the rate anew, so factors do not pile up."""
        factor = self._pruner.learning_rate_factor
        if factor != 1:
            for group in self._optimizer.param_groups:
                group["lr"] = group["lr"] * factor

    def after_step(self, trained_in_epoch: int) -> None:
        """Move on by a step.

        Args:
            trained_in_epoch: samples of the running epoch's plan that are trained.
        """
        if not self._known:
            done = self._pruner.progress(trained_in_epoch)
            # Both schedules compute the rate from last_epoch alone, so that it may be moved.
            self._schedule.last_epoch = round(done * self.total_steps) - 1
        self._schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """As of torch's schedulers."""
        return self._schedule.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Likewise."""
        self._schedule.load_state_dict(state)


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, total_steps: int) -> LRScheduler:
    """OneCycleLR, or linear warm-up from 0 and linear decay to 0, as transformers are usually fine-tuned."""
    if recipe.schedule == "onecycle":
        return OneCycleLR(
            optimizer, max_lr=recipe.max_lr, total_steps=total_steps, pct_start=recipe.pct_start,
            div_factor=recipe.div_factor, final_div_factor=recipe.final_div_factor,
        )  # fmt: skip
    if recipe.schedule != "linear":
        raise ArgumentError("schedule", recipe.schedule, "'onecycle' or 'linear'")
    warmup = recipe.pct_start * total_steps

    def share(step: int) -> float:
        # The step to come counts as half done, so that neither the first nor the last one is wasted on a rate of 0.
        place = min(step + 0.5, total_steps)
        return place / warmup if place < warmup else (total_steps - place) / max(total_steps - warmup, 1e-9)

    return LambdaLR(optimizer, share)
