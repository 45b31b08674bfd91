"""Recipes of contrastive learning."""

from __future__ import annotations

from emprune_lab.specs.recipe import Preset, Recipe
from emprune_lab.tasks.contrastive.settings import Contrastive

_SIMCLR = Recipe(
    model="resnet10-slim", epochs=40, batch_size=256, max_lr=0.3, train_size=20_000, task=Contrastive(temperature=0.2)
)

PRESETS = {
    "simclr": Preset(_SIMCLR, "this project: sized for one core"),
    "moco": Preset(_SIMCLR.changed(method="moco"), "this project, temperature as in MoCo v2; not tuned"),
    "simclr-resnet18": Preset(
        _SIMCLR.changed(
            model="resnet18", epochs=200, batch_size=512, train_size=None, max_lr=0.6, precision="bfloat16",
            temperature=0.5,
        ),
        "this project, for an accelerator, temperature as in SimCLR on CIFAR; not tuned",
    ),
}  # fmt: skip
"""Every preset by name."""
