"""What is tried, and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from studies.ingredients.proxy import small_cnn
from torch import nn

from emprune_lab.networks import models
from emprune_lab.specs.recipe import Recipe
from emprune_lab.tasks import preset_for


@dataclass(frozen=True)
class Ingredient:
    """What a run has beside its policy; by default nothing.

    Attributes:
        earlier: α of the last epoch, the part of a target that the sample's last prediction is; 0 to 1.
        smoothing: label smoothing, 0 to 1.
        proxy: how a small network picks half of the candidates: "hard", those of higher loss; "sampled", drawn in
            proportion to (L + 20·H)², as EMP does; "": there is none.
        steps: so many times as many steps, by smaller batches. learning_rate: factor of the recipe's.
        slope: samples of the first and of the last epoch, over the mean; on a line between them.
        by_visits: whether a sample is mirrored at every other visit, instead of by a coin.
        covered: whether every sample is trained once before any is repeated.
    """

    earlier: float = 0.0
    smoothing: float = 0.0
    proxy: Literal["", "hard", "sampled"] = ""
    steps: int = 1
    learning_rate: float = 1.0
    slope: tuple[float, float] = (1.0, 1.0)
    by_visits: bool = False
    covered: bool = False


CANDIDATES = {
    "none": Ingredient(),
    "memory 0.4": Ingredient(earlier=0.4),
    "memory 0.8": Ingredient(earlier=0.8),
    "proxy, hard half": Ingredient(proxy="hard"),
    "proxy, sampled": Ingredient(proxy="sampled"),
    "steps ×1, rate ×0.5": Ingredient(learning_rate=0.5),
    "steps ×2, rate ×0.71": Ingredient(steps=2, learning_rate=0.5**0.5),
    "steps ×2, rate ×0.5": Ingredient(steps=2, learning_rate=0.5),
    "steps ×4, rate ×0.5": Ingredient(steps=4, learning_rate=0.5),
    "steps ×4, rate ×0.25": Ingredient(steps=4, learning_rate=0.25),
}
"""Settings to choose among, on the validation split."""

INGREDIENTS = {
    "none": Ingredient(),
    "steps ×2, rate ×0.71": Ingredient(steps=2, learning_rate=0.5**0.5),
    "steps ×4, rate ×0.5": Ingredient(steps=4, learning_rate=0.5),
    "coverage first": Ingredient(covered=True),
    "proxy, sampled": Ingredient(proxy="sampled"),
    "mirrored by visits": Ingredient(by_visits=True),
    "memory 0.4": Ingredient(earlier=0.4),
    "label smoothing": Ingredient(smoothing=0.1),
    "fewer and fewer": Ingredient(slope=(1.6, 0.4)),
    "more and more": Ingredient(slope=(0.4, 1.6)),
    "proxy, hard half": Ingredient(proxy="hard"),
}
"""What is reported, on the test split."""


@dataclass(frozen=True)
class Place:
    """Where it is tried.

    Attributes:
        title: for people. data, noise, prune_rate: as of a run of the laboratory.
        recipe: makes the recipe. proxy: (channels, size, classes, seed) → the small network.
        precision: of the recipe.
    """

    title: str
    data: str
    recipe: Callable[[], Recipe]
    noise: float = 0.0
    prune_rate: float = 0.9
    proxy: Callable[[int, int, int, int], nn.Sequential] = small_cnn


def _recipe(data: str, preset: str | None = None, **changes: object) -> Recipe:
    return preset_for(data, preset).recipe.changed(**changes)


_FASHION = partial(_recipe, "fashion-mnist", train_size=10_000, epochs=50)
PLACES = {
    "fashion-mnist": Place("Fashion-MNIST, 10,000 images", "fashion-mnist", _FASHION),
    "fashion-mnist-noise": Place("the same, 20 % wrong labels", "fashion-mnist", _FASHION, noise=0.2),
    "digits-noise": Place("digits, CNN, 20 % wrong labels", "digits", partial(_recipe, "digits", model="cnn"), 0.2),
    "cifar100": Place(
        "CIFAR-100, 20,000 images", "cifar100", partial(_recipe, "cifar100", "cpu", precision="bfloat16"),
        proxy=partial(models.build, "resnet8-slim"),
    ),
}  # fmt: skip
