"""How a model is trained: the settings that every policy of a comparison shares."""

from __future__ import annotations

from dataclasses import dataclass

from emprune.errors import ArgumentError


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum under a OneCycle learning rate (Smith & Topin 2018) over the run's exact steps.

    Attributes:
        model: name in the lab's models.
        epochs: E of a full run; ``short`` has fewer.
        batch_size: samples a step.
        max_lr, momentum, weight_decay: of the optimiser.
        label_smoothing: in [0, 1].
        pool: images are averaged over pool × pool pixels once, before training.
        shift: augmentation: shift by up to so many pixels and flip left to right; 0: none.
        train_size: number of training samples; None: all.
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


RECIPES: dict[str, Recipe] = {
    "digits": Recipe(model="mlp", epochs=30, batch_size=32, max_lr=0.1),
    # Augmented, since otherwise full data gains nothing over 30 % of it and there is nothing to compare.
    "fashion-mnist": Recipe(model="cnn", epochs=24, batch_size=128, max_lr=0.1, pool=2, shift=1, train_size=20_000),
}
"""The recipe of each data set."""


def recipe_for(data: str) -> Recipe:
    """The named data set's recipe. Raises ArgumentError where there is none."""
    if data not in RECIPES:
        raise ArgumentError("data", data, f"one of {', '.join(RECIPES)}")
    return RECIPES[data]
