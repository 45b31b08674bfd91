"""Tasks: what can be trained, by the name of its data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from emprune.errors import ArgumentError
from emprune.lab.data import DATA_SETS, GLUE
from emprune.lab.spec import RunSpec
from emprune.lab.tasks import images, pretraining, sentences
from emprune.lab.tasks.base import Data, Scores, Task, TrainingSet

__all__ = ["KINDS", "Data", "Kind", "Scores", "Task", "TrainingSet", "build_task", "training_data"]


class Kind(NamedTuple):
    """How a spec becomes a task.

    Attributes:
        load: what the spec trains on, from its files. Raises DataError where they are missing, ArgumentError
            where the data cannot be had in the way asked for (label noise without labels).
        build: (spec, data, device, compiled=...) → the task.
    """

    load: Callable[[RunSpec], Any]
    build: Callable[..., Task]


_IMAGES = Kind(images.load, images.build)
_SENTENCES = Kind(sentences.load, sentences.build)
_TEXT = Kind(pretraining.load, pretraining.build)

KINDS: dict[str, Kind] = {
    **dict.fromkeys(DATA_SETS, _IMAGES),
    **dict.fromkeys(GLUE, _SENTENCES),
    **dict.fromkeys(pretraining.READERS, _TEXT),
}
"""Every data set's kind by name."""


def training_data(spec: RunSpec) -> Data:
    """The data that a spec trains on, read from its files.

    Raises:
        ArgumentError: unknown name. Others as of :class:`Kind`.
    """
    data: Data = _kind(spec.data).load(spec)
    return data


def build_task(spec: RunSpec, data: Data, device: torch.device, *, compiled: bool = False) -> Task:
    """The task of a spec on its data."""
    return _kind(spec.data).build(spec, data, device, compiled=compiled)


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise ArgumentError("data", name, f"one of {', '.join(KINDS)}")
    return KINDS[name]
