"""How a model is trained: the settings that every policy of a comparison shares, and presets of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from emprune.errors import ArgumentError

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Recipe:
    """SGD or LARS under a OneCycle learning rate (Smith & Topin 2018) over the run's exact steps.

    Attributes:
        model: name in the lab's models.
        epochs: E of a full run; ``short`` has fewer.
        batch_size: samples a step.
        max_lr, momentum, weight_decay: of the optimiser. optimizer: "sgd" or "lars".
        nesterov: of SGD.
        label_smoothing: in [0, 1].
        pool: images are averaged over pool × pool pixels once, before training.
        shift: augmentation: shift by up to so many pixels and flip left to right; 0: none.
        train_size: number of training samples; None: all.
        precision: "bfloat16" runs the model under autocast; loss and optimiser stay in float32.
        pct_start, div_factor, final_div_factor: shape of the learning rate, as in OneCycleLR.
    """

    model: str
    epochs: int
    batch_size: int
    max_lr: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    pool: int = 1
    shift: int = 0
    train_size: int | None = None
    optimizer: Literal["sgd", "lars"] = "sgd"
    nesterov: bool = True
    precision: Precision = "float32"
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4


@dataclass(frozen=True)
class Preset:
    """A named recipe with the annealing that belongs to it.

    Attributes:
        anneal: fraction of the epochs, at the end, that use all the data.
        source: where it comes from.
    """

    recipe: Recipe
    source: str
    anneal: float = 0.0


_INFOBATCH = Recipe(
    model="resnet18", epochs=200, batch_size=128, max_lr=0.05, nesterov=False, label_smoothing=0.1, shift=4,
    precision="bfloat16",
)  # fmt: skip

PRESETS: dict[str, Preset] = {
    "digits": Preset(Recipe(model="mlp", epochs=30, batch_size=32, max_lr=0.1), "this project"),
    # Augmented, since otherwise full data gains nothing over 30 % of it and there is nothing to compare.
    "fashion-mnist": Preset(
        Recipe(model="cnn", epochs=24, batch_size=128, max_lr=0.1, pool=2, shift=1, train_size=20_000), "this project"
    ),
    "cpu": Preset(
        Recipe(
            model="resnet10-thin",
            epochs=40,
            batch_size=128,
            max_lr=0.2,
            shift=4,
            train_size=20_000,
            precision="bfloat16",
        ),
        "this project: CIFAR in about ten minutes on one core; full data masters the training set",
    ),
    "infobatch": Preset(_INFOBATCH, "Qin et al., arXiv:2303.04947", anneal=0.125),
    "infobatch-resnet50": Preset(
        dataclasses.replace(_INFOBATCH, model="resnet50", optimizer="lars", max_lr=5.2),
        "Qin et al., arXiv:2303.04947",
        anneal=0.125,
    ),
}
"""Every preset by name."""

_PRESET_OF = {"digits": "digits", "fashion-mnist": "fashion-mnist", "cifar10": "cpu", "cifar100": "cpu"}


def preset_for(data: str, name: str | None = None) -> Preset:
    """The named preset, or the data set's own where none is named.

    Raises:
        ArgumentError: the preset or the data set is unknown.
    """
    if data not in _PRESET_OF:
        raise ArgumentError("data", data, f"one of {', '.join(_PRESET_OF)}")
    name = name or _PRESET_OF[data]
    if name not in PRESETS:
        raise ArgumentError("preset", name, f"one of {', '.join(PRESETS)}")
    return PRESETS[name]


def recipe_for(data: str) -> Recipe:
    """The recipe of the data set's own preset."""
    return preset_for(data).recipe
