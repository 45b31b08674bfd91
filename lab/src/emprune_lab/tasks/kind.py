"""What the folder of a task says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from emprune_lab.data import Split
from emprune_lab.data.sets import DataSets
from emprune_lab.records.metrics import Metric
from emprune_lab.specs.recipe import Preset, TaskSettings
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks.base import Data, Task

Honoured = Literal["label_noise", "imbalance", "compile"]


@dataclass(frozen=True)
class Kind:
    """A kind of task: how a spec becomes a task, and how its results are spoken of.

    Attributes:
        settings: the class of its part of a recipe, which says that a recipe is of this kind; where nested, with a
            default for everything.
        sets: its data sets.
        presets: its recipes, by name.
        metrics: every measure that its tasks may name.
        load: what a spec trains on, from its files. Raises DataError where they are missing, ArgumentError
            where the data cannot be had in the way asked for (label noise without labels).
        build: (spec, data, device, compiled=whether through torch.compile) → the task.
        check: (spec, N) raises ArgumentError where the run could not be trained; before ``build``.
        targets: what the runs of a stored recipe are trained on, in a word or two.
        honours: what may be asked of its runs since ``load`` and ``build`` carry it out, of "label_noise", "imbalance"
            and "compile"; anything else is refused.
        labelled: whether its data sets are :class:`emprune_lab.data.LabelledData`.
        show: of data that are not, (data, stored recipe, data_dir, split) → what a sample shows, by its position, and
            how many there are. Raises DataError as ``load``.
        listed: what `emprune methods` says of it: rows of kind, name, what and source.
    """

    settings: type[TaskSettings]
    sets: DataSets[Any]
    presets: Mapping[str, Preset]
    metrics: tuple[Metric, ...]
    load: Callable[[RunSpec], Data]
    build: Callable[..., Task]
    check: Callable[[RunSpec, int], None] = lambda spec, num_samples: None
    targets: Callable[[Mapping[str, Any]], str] = lambda recipe: "clean"
    honours: tuple[Honoured, ...] = ()
    labelled: bool = False
    show: Callable[[str, Mapping[str, Any], str | Path | None, Split], tuple[Callable[[int], str], int]] | None = None
    listed: tuple[tuple[str, str, str, str], ...] = ()
