"""The settings that only image classification has, and its recipes."""

from __future__ import annotations

from dataclasses import dataclass

from emprune_lab.specs.recipe import Preset, Recipe, TaskSettings


@dataclass(frozen=True)
class ImageSettings(TaskSettings):
    """What a recipe says of image classification alone.

    Attributes:
        label_smoothing: in [0, 1].
        pool: images are averaged over pool × pool pixels once, before training.
        shift: augmentation: shift by up to so many pixels and flip left to right; 0: none.
    """

    label_smoothing: float = 0.0
    pool: int = 1
    shift: int = 0


_INFOBATCH = Recipe(
    model="resnet18", epochs=200, batch_size=128, max_lr=0.05, nesterov=False, precision="bfloat16",
    task=ImageSettings(label_smoothing=0.1, shift=4),
)  # fmt: skip

# Presets for a processor are in float32: without instructions for bfloat16 a processor is many times slower in it, and
# a preset that asked the machine would give a run another identity on each. Those for an accelerator are in bfloat16;
# the command trains them in float32 where the device has no instructions for it, which it records.
PRESETS = {
    "digits": Preset(
        Recipe(model="mlp", epochs=30, batch_size=32, max_lr=0.1, task=ImageSettings()), "this project"
    ),
    # Augmented, since otherwise full data gains nothing over 30 % of it and there is nothing to compare.
    "fashion-mnist": Preset(
        Recipe(
            model="cnn", epochs=24, batch_size=128, max_lr=0.1, train_size=20_000, task=ImageSettings(pool=2, shift=1)
        ),
        "this project",
    ),
    "cpu": Preset(
        Recipe(
            model="resnet10-thin", epochs=40, batch_size=128, max_lr=0.2, train_size=20_000,
            task=ImageSettings(shift=4),
        ),
        "this project: CIFAR sized for one core, and so that full data masters the training set",
    ),
    "infobatch": Preset(_INFOBATCH, "Qin et al., arXiv:2303.04947", anneal=0.125),
    "infobatch-resnet50": Preset(
        _INFOBATCH.changed(model="resnet50", optimizer="lars", max_lr=5.2), "Qin et al., arXiv:2303.04947", anneal=0.125
    ),
}  # fmt: skip
"""Every preset by name."""
