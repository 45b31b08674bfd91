"""Tasks: what can be trained, by the name of its data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from emprune.errors import ArgumentError
from emprune_lab.data import DATA_SETS, GLUE
from emprune_lab.specs.spec import RunSpec, build_pruner
from emprune_lab.tasks import contrastive, images, pretraining, sentences
from emprune_lab.tasks.base import Data, Scores, Task, TrainingSet

__all__ = ["KINDS", "Data", "Kind", "Scores", "Task", "TrainingSet", "build_task", "check_spec", "training_data"]


class Kind(NamedTuple):
    """How a spec becomes a task.

    Attributes:
        load: what the spec trains on, from its files. Raises DataError where they are missing, ArgumentError
            where the data cannot be had in the way asked for (label noise without labels).
        build: (spec, data, device, compiled=...) → the task.
        check: (spec, N) raises ArgumentError where the run could not be trained.
    """

    load: Callable[[RunSpec], Any]
    build: Callable[..., Task]
    check: Callable[[RunSpec, int], None] = lambda spec, num_samples: None


_IMAGES = Kind(images.load, images.build)
_SENTENCES = Kind(sentences.load, sentences.build)
_VIEWS = Kind(contrastive.load, contrastive.build, contrastive.check)
_TEXT = Kind(pretraining.load, pretraining.build)

KINDS: dict[str, Kind] = {
    **dict.fromkeys(DATA_SETS, _IMAGES),
    **dict.fromkeys(GLUE, _SENTENCES),
    **dict.fromkeys(pretraining.READERS, _TEXT),
}
"""Every data set's kind by name; images are learnt without labels where the recipe is contrastive."""


def training_data(spec: RunSpec) -> Data:
    """The data that a spec trains on, read from its files.

    Raises:
        ArgumentError: unknown name. Others as of :class:`Kind`.
    """
    data: Data = _kind(spec).load(spec)
    return data


def build_task(spec: RunSpec, data: Data, device: torch.device, *, compiled: bool = False) -> Task:
    """The task of a spec on its data."""
    return _kind(spec).build(spec, data, device, compiled=compiled)


def check_spec(spec: RunSpec, num_samples: int) -> None:
    """Raise ArgumentError where a run on so many samples could not be trained."""
    build_pruner(spec, num_samples)
    _kind(spec).check(spec, num_samples)


def _kind(spec: RunSpec) -> Kind:
    if spec.data not in KINDS:
        raise ArgumentError("data", spec.data, f"one of {', '.join(KINDS)}")
    kind = KINDS[spec.data]
    if spec.recipe.contrastive is None:
        return kind
    if kind is not _IMAGES:
        raise ArgumentError("preset", f"a contrastive one for {spec.data}", "one that is meant for it")
    return _VIEWS
