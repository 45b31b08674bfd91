"""Kinds of runs, as carrying them out needs to know them: those of the laboratory's tasks here, a user's in own.py."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from emprune_lab.commandline.options import Setting
from emprune_lab.records.results import Result
from emprune_lab.runs import compare
from emprune_lab.runs.compare import TrainsRun
from emprune_lab.runs.devices import warning_of
from emprune_lab.specs.spec import RunSpec


class Runs(Protocol):
    """Runs of one kind: see :class:`LabRuns`."""

    @property
    def device(self) -> str: ...
    @property
    def default_jobs(self) -> int: ...
    @property
    def saved(self) -> str: ...
    def check(self, specs: Sequence[Any], jobs: int) -> dict[str, int]: ...
    def trained_by(self, jobs: int, command: str) -> TrainsRun: ...
    def read(self, result: Result) -> Result: ...
    def warnings(self, specs: Sequence[Any], finished: Iterable[Result]) -> list[str]: ...


class LabRuns:
    """Runs of the laboratory's tasks.

    Args:
        setting: what is trained, and where.
    """

    saved = "Everything is saved"
    """What is told of runs that were stopped."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    @property
    def device(self) -> str:
        """Where they train, for a person to read; "" where only the runs know."""
        return self._setting.device

    @property
    def default_jobs(self) -> int:
        """Runs at the same time: one for each core, or one on a device."""
        return os.cpu_count() or 1 if self.device == "cpu" else 1

    def check(self, specs: Sequence[RunSpec], jobs: int) -> dict[str, int]:
        """Samples of each run by its run_id; see :func:`emprune_lab.runs.compare.check`."""
        return compare.check(specs)

    def trained_by(self, jobs: int, command: str) -> TrainsRun:
        """What trains a run."""
        return functools.partial(compare.train, command=command, **self._setting.run_options)

    def read(self, result: Result) -> Result:
        """A finished run, as it is to be reported."""
        return result

    def warnings(self, specs: Sequence[RunSpec], finished: Iterable[Result]) -> list[str]:
        """What to say before the first run."""
        return sorted({warning_of(spec.recipe.precision, self.device) for spec in specs} - {""})
