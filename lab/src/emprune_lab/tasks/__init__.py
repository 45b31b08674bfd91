"""Tasks: what can be trained. Each folder here is one, found by being here; its ``KIND`` says what it is."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from emprune.errors import ArgumentError, did_you_mean
from emprune_lab.data import LabelledData, Split, load_from
from emprune_lab.data.sets import DataSet
from emprune_lab.records.metrics import METRICS
from emprune_lab.specs import recipe as recipes
from emprune_lab.specs.own import is_own
from emprune_lab.specs.recipe import Preset, Recipe
from emprune_lab.specs.spec import RunSpec, build_pruner
from emprune_lab.tasks.base import Data, Scores, Task, TrainingSet
from emprune_lab.tasks.kind import Kind

__all__ = [
    "KINDS", "PRESETS", "Data", "Kind", "Scores", "Task", "TrainingSet", "build_task", "check_spec",
    "completed", "data_sets", "kind_of", "labelled_data", "preset_for", "recipe_for", "register", "shown_by",
    "training_data",
]  # fmt: skip

KINDS: dict[str, Kind] = {}
"""Every kind of task by name."""
PRESETS: dict[str, Preset] = {}
"""Every preset by name."""


def register(name: str, kind: Kind) -> None:
    """Add a kind of task, with its presets and metrics."""
    KINDS[name] = kind
    PRESETS.update(kind.presets)
    METRICS.update({metric.name: metric for metric in kind.metrics})


for _module in pkgutil.iter_modules(__path__):
    if _module.ispkg:
        register(_module.name, importlib.import_module(f"{__name__}.{_module.name}").KIND)


def data_sets() -> dict[str, DataSet]:
    """Every data set of every kind of task, by name."""
    return {name: one for kind in KINDS.values() for name, one in kind.sets.items()}


def training_data(spec: RunSpec) -> Data:
    """The data that a spec trains on, read from its files.

    Raises:
        ArgumentError: the data set is unknown, or none of the recipe's task, or the task does not know label noise or
            imbalance. Others as of :class:`Kind`.
    """
    kind = _kind(spec)
    _check_honoured(spec, kind)
    return kind.load(spec)


def build_task(spec: RunSpec, data: Data, device: torch.device, *, compiled: bool = False) -> Task:
    """The task of a spec on its data.

    Raises:
        ArgumentError: it cannot be trained as the spec says, or has another number of samples than its data.
    """
    kind = _kind(spec)
    _check_honoured(spec, kind, compiled=compiled)
    kind.check(spec, len(data))
    task = kind.build(spec, data, device, compiled=compiled)
    if task.num_samples != len(data):
        raise ArgumentError("num_samples", task.num_samples, f"the length of the data of {spec.data}, {len(data)}")
    return task


def check_spec(spec: RunSpec, num_samples: int) -> None:
    """Raise ArgumentError where a run on so many samples could not be trained."""
    build_pruner(spec, num_samples)
    _kind(spec).check(spec, num_samples)


def preset_for(data: str, name: str | None = None) -> Preset:
    """The named preset, or the data set's own where none is named.

    Raises:
        ArgumentError: the preset or the data set is unknown, or they do not belong together.
    """
    own = _sets_with(data)[data].preset
    name = name or own
    if name not in PRESETS:
        raise ArgumentError("preset", name, f"one of {', '.join(PRESETS)}", did_you_mean(name, PRESETS))
    if name not in (fitting := _presets_for(data)):
        raise ArgumentError("preset", name, f"one for {data}: {', '.join(fitting)}")
    return PRESETS[name]


def recipe_for(data: str) -> Recipe:
    """The recipe of the data set's own preset."""
    return preset_for(data).recipe


def kind_of(data: str, recipe: Mapping[str, Any]) -> Kind | None:
    """The kind of task of a stored recipe on a data set; None where no folder here knows it, as of a user's own."""
    if is_own(recipe):
        return None
    able = [kind for kind in KINDS.values() if data in kind.sets]
    nested = [kind for kind in able if kind.settings.nested and recipe.get(kind.settings.nested)]
    return next(iter([*nested, *(kind for kind in able if not kind.settings.nested)]), None)


def completed(data: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A stored recipe with the defaults of settings that its version did not know."""
    if is_own(recipe):
        return dict(recipe)
    kind, whole = kind_of(data, recipe), recipes.completed(recipe)
    if kind and (name := kind.settings.nested):
        whole[name] = {**kind.settings().as_dict()[name], **whole[name]}
    return whole


def labelled_data(
    data: str, recipe: Mapping[str, Any], data_dir: str | Path | None, split: Split
) -> LabelledData | None:
    """The labelled set, as published, that a stored recipe was trained on; None where there are no labels.

    Raises:
        DataError: its files are missing.
    """
    kind = kind_of(data, recipe)
    if kind is None or not kind.labelled:
        return None
    loaded: LabelledData = load_from(kind.sets, data, data_dir, split=split, train_size=recipe["train_size"])
    return loaded


def shown_by(
    data: str, recipe: Mapping[str, Any], data_dir: str | Path | None, split: Split
) -> tuple[Callable[[int], str] | None, int]:
    """What a sample shows that has no labels, by its position, and how many there are; None where no task says it.

    Raises:
        DataError: files are missing, or are not those of the recipe.
    """
    kind = kind_of(data, recipe)
    return kind.show(data, recipe, data_dir, split) if kind and kind.show else (None, 0)


def _kind(spec: RunSpec) -> Kind:
    _sets_with(spec.data)
    settings = type(spec.recipe.task)
    kind = next((kind for kind in KINDS.values() if kind.settings is settings), None)
    if kind is None:
        known = ", ".join(kind.settings.__name__ for kind in KINDS.values())
        raise ArgumentError(
            "recipe", f"one whose task is {settings.__name__}", f"one whose task is {known}",
            "A task of your own is made known by emprune_lab.tasks.register(name, KIND).",
        )  # fmt: skip
    if spec.data not in kind.sets:
        raise ArgumentError(
            "data", spec.data, f"data of the recipe's task, {', '.join(kind.sets)}",
            f"Recipes for {spec.data} are the presets {', '.join(_presets_for(spec.data))}.",
        )  # fmt: skip
    return kind


def _check_honoured(spec: RunSpec, kind: Kind, *, compiled: bool = False) -> None:
    """Raise ArgumentError where a run is asked for something that its task does not carry out."""
    for name, value, none in (("label_noise", spec.label_noise, 0), ("imbalance", spec.imbalance, 1)):
        if value != none and name not in kind.honours:
            raise ArgumentError(name, value, f"{none}, since the task of {spec.data} does not know it")
    if compiled and "compile" not in kind.honours:
        raise ArgumentError("mode", "compile", f"plain, since the task of {spec.data} does not know torch.compile")


def _presets_for(data: str) -> list[str]:
    return [name for kind in KINDS.values() if data in kind.sets for name in kind.presets]


def _sets_with(data: str) -> dict[str, DataSet]:
    """Every data set by name. Raises ArgumentError unless ``data`` is among them."""
    sets = data_sets()
    if data not in sets:
        raise ArgumentError("data", data, f"one of {', '.join(sets)}", did_you_mean(data, sets))
    return sets
