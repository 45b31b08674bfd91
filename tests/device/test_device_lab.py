"""The laboratory's training loop: after its first epoch, no step makes the host wait for the device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch

from emprune_lab.data.images import ImageData
from emprune_lab.runs.training import Training
from emprune_lab.specs.recipe import Mode, Recipe
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks.images.presets import ImageSettings

N, CLASSES, STEPS = 40, 3, 3


def images() -> ImageData:
    drawn = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (N, 1, 8, 8), generator=drawn, dtype=torch.uint8)
    labels = torch.arange(N) % CLASSES
    return ImageData("made", pixels, labels, labels, pixels[:9], labels[:9], ("a", "b", "c"))


@pytest.mark.filterwarnings("ignore:.*AccumulateGrad node's stream")
@pytest.mark.parametrize("mode", ["plain", "graph"])
@pytest.mark.parametrize("policy", ["emp", "infobatch", "divbs"])
def test_steps_of_the_lab(
    accelerator: torch.device, no_waiting: Callable[[], AbstractContextManager[None]], policy: str, mode: Mode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    recipe = Recipe(model="cnn", epochs=3, batch_size=8, max_lr=0.05, task=ImageSettings(0.1, shift=1))
    spec = RunSpec("digits", policy, 0.5, 0, recipe)
    training, step, forbidden = Training(spec, images(), accelerator.type, mode=mode), Training._step, []

    def watched(self: Training, ids: torch.Tensor) -> None:
        if self.pruner.epoch == 0:
            return step(self, ids)
        forbidden.append(ids.device.type)
        with no_waiting():
            return step(self, ids)

    monkeypatch.setattr(Training, "_step", watched)
    training.epochs(lambda: None)
    assert len(forbidden) == 2 * (5 if policy == "divbs" else STEPS)
    assert set(forbidden) == {accelerator.type}
    losses = [entry["loss"] for entry in training.history]
    assert all(0 < loss < 5 for loss in losses)
