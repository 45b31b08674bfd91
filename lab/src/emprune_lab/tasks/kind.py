"""What the folder of a task says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emprune_lab.data import LabelledData
from emprune_lab.data.sets import DataSets
from emprune_lab.records.metrics import Metric
from emprune_lab.specs.recipe import Preset, TaskSettings
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks.base import Data, Task
from emprune_lab.tasks.wording import Wording


@dataclass(frozen=True)
class Kind:
    """A kind of task: how a spec becomes a task, and how its results are spoken of.

    Attributes:
        settings: the class of its part of a recipe, which says that a recipe is of this kind; where nested, with a
            default for everything.
        sets: its data sets. presets: its recipes, by name.
        metrics: every measure that its tasks may name.
        load: what a spec trains on, from its files. Raises DataError where they are missing, ArgumentError
            where the data cannot be had in the way asked for (label noise without labels).
        build: (spec, data, device, compiled=whether through torch.compile) → the task.
        wording: of the runs of a stored recipe, completed.
        check: (spec, N) raises ArgumentError where the run could not be trained; before ``build``.
        identified: (settings, data, data_dir) → the settings with what identifies data without a published name.
        load_labelled: (name, data_dir, split=, train_size=) → a labelled set as published; None: it has no labels.
    """

    settings: type[TaskSettings]
    sets: DataSets[Any]
    presets: Mapping[str, Preset]
    metrics: tuple[Metric, ...]
    load: Callable[[RunSpec], Data]
    build: Callable[..., Task]
    wording: Callable[[Mapping[str, Any]], Wording] = lambda recipe: Wording()
    check: Callable[[RunSpec, int], None] = lambda spec, num_samples: None
    identified: Callable[[Any, str, str | None], TaskSettings] = lambda settings, data, data_dir: settings
    load_labelled: Callable[..., LabelledData] | None = None
