"""How a model is trained: the settings that every policy of a comparison shares."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, TypeVar

from emprune.errors import ArgumentError

Precision = Literal["float32", "bfloat16"]
Mode = Literal["plain", "compile", "graph", "compile-graph"]
"""How steps are executed. It decides speed, and rounding at most: it is no part of a run's identity."""


@dataclass(frozen=True)
class TaskSettings:
    """What a recipe says of its task alone; each task has a subclass, whose fields are its settings.

    Attributes:
        nested: the name under which stored recipes keep these settings together; None: beside the common ones.
        memory_terms: whether a policy's label may choose the memory term, "emp:memory=alignment".
    """

    nested: ClassVar[str | None] = None
    memory_terms: ClassVar[bool] = False

    def identified(self, data: str, data_dir: str | None) -> Self:
        """The settings with what identifies data that have no published name."""
        return self

    def as_dict(self) -> dict[str, Any]:
        """The settings as a stored recipe has them: JSON values by name."""
        settings = dataclasses.asdict(self)
        return {self.nested: settings} if self.nested else settings


Settings = TypeVar("Settings", bound=TaskSettings)


@dataclass(frozen=True)
class Recipe:
    """An optimiser under a learning rate that goes over the run's exact steps, and the settings of the task.

    Attributes:
        model: a name that the task knows.
        epochs: E of a full run; ``short`` has fewer.
        batch_size: samples a step.
        max_lr, momentum, weight_decay: of the optimiser; AdamW takes momentum as β₁ and decays matrices only.
        optimizer: "sgd", "lars" or "adamw".
        nesterov: of SGD.
        train_size: number of training samples; None: all.
        precision: "bfloat16" runs the model under autocast; loss and optimiser stay in float32.
        schedule: "onecycle" (Smith & Topin 2018) or "linear", up from 0 and down to 0.
        pct_start: fraction of the steps in which the learning rate rises.
        div_factor, final_div_factor: as in OneCycleLR.
        clip_norm: largest Euclidean norm of the gradient of all parameters; None: not clipped.
        task: the settings that only this task has; their class says which task it is.
    """

    model: str
    epochs: int
    batch_size: int
    max_lr: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    train_size: int | None = None
    optimizer: Literal["sgd", "lars", "adamw"] = "sgd"
    nesterov: bool = True
    precision: Precision = "float32"
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    schedule: Literal["onecycle", "linear"] = "onecycle"
    clip_norm: float | None = None
    task: TaskSettings = field(default_factory=TaskSettings)

    def knows(self, name: str) -> bool:
        """Whether there is a setting of this name, common or of the task."""
        return name in _names(self) or name in _names(self.task)

    def changed(self, **settings: Any) -> Recipe:
        """A copy with other values of some settings, common ones and the task's, by name."""
        own = {name: settings.pop(name) for name in _names(self.task) if name in settings}
        task = dataclasses.replace(settings.pop("task", self.task), **own)
        return dataclasses.replace(self, task=task, **settings)

    def of_task(self, settings: type[Settings]) -> Settings:
        """The task's settings. Raises ArgumentError where they are those of another task."""
        if not isinstance(self.task, settings):
            given = type(self.task).__name__
            raise ArgumentError("recipe", f"one whose task is {given}", f"one whose task is {settings.__name__}")
        return self.task

    def as_dict(self) -> dict[str, Any]:
        """All settings as flat JSON values: the identity of a run, and what its result stores.

        Those at their default that the first results did not know are left out, so that a run keeps its identity
        when recipes learn something new.
        """
        common = {name: getattr(self, name) for name in _names(self) if name != "task"}
        settings = {**_ALWAYS, **common, **self.task.as_dict()}
        return {name: value for name, value in settings.items() if _LATER.get(name, _UNKNOWN) != value}


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


def completed(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe as :meth:`Recipe.as_dict` gives it, with the defaults of what it leaves out."""
    defaults = {one.name: one.default for one in dataclasses.fields(Recipe) if one.default is not dataclasses.MISSING}
    return {**_ALWAYS, **defaults, **_LATER, **stored}


# When the first results were written, one recipe had the settings of every task, which their identities show.
_ALWAYS: dict[str, Any] = {"label_smoothing": 0.0, "pool": 1, "shift": 0}
_LATER: dict[str, Any] = {
    "schedule": "onecycle", "clip_norm": None, "vocabulary": "", "window": 0, "dropout": 0.0, "text": "",
    "contrastive": None,
}  # fmt: skip
_UNKNOWN = object()


def _names(settings: Recipe | TaskSettings) -> list[str]:
    return [one.name for one in dataclasses.fields(settings)]
