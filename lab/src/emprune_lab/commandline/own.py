"""A comparison of a user's own function: its runs, and what carrying them out takes."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence

from emprune_lab.records.results import Result
from emprune_lab.runs.compare import TrainsRun, runs_like
from emprune_lab.runs.own.function import (
    TrainFunction,
    check_importable,
    file_of,
    length_of,
    name_of,
    source_version,
)
from emprune_lab.runs.own.measure import Measure
from emprune_lab.runs.own.run import check_own, train_own
from emprune_lab.specs.base import Budget
from emprune_lab.specs.own import OwnSpec


def own_specs(
    function: TrainFunction,
    policies: Sequence[str],
    prune_rates: Sequence[float],
    seeds: Sequence[int],
    anneals: Sequence[float] = (0.0,),
    *,
    num_samples: int | None,
    num_epochs: int | None,
    budget: Budget = "epoch",
) -> list[OwnSpec]:
    """Every run, seed by seed.

    Args:
        num_samples, num_epochs: None: attributes of the function.

    Raises:
        ArgumentError: a policy is unknown, a setting or rate is out of range, a list is empty, or a length is missing.
    """
    samples, epochs = (length_of(function, *one) for one in (("num_samples", num_samples), ("num_epochs", num_epochs)))
    return [
        spec
        for anneal in anneals
        for spec in runs_like(
            OwnSpec(name_of(function), "full", 0.0, 0, samples, epochs, anneal, budget), policies, prune_rates, seeds
        )
    ]


class OwnRuns:
    """Runs of a user's function, for :func:`emprune_lab.commandline.work.carry_out`.

    Args:
        function: of (pruner, seed).
        measure: which of its numbers heads the comparison.
        threads: of a process; None: what torch takes, shared among the jobs.
    """

    device, saved = "", "What is finished is kept"

    def __init__(self, function: TrainFunction, measure: Measure, threads: int | None = None) -> None:
        self._function, self._measure, self._threads = function, measure, threads

    @property
    def default_jobs(self) -> int:
        """One: a device, or the time of a step, is not to be shared without being asked for."""
        return 1

    def check(self, specs: Sequence[OwnSpec], jobs: int) -> dict[str, int]:
        """As :func:`emprune_lab.runs.own.run.check_own`. Raises ArgumentError where jobs need another function too."""
        if jobs > 1:
            check_importable(self._function)
        return check_own(specs)

    def trained_by(self, jobs: int, command: str) -> TrainsRun:
        """What trains a run, in this process or in one of several."""
        threads = self._threads
        if threads is None and jobs > 1:
            threads = max(1, (os.cpu_count() or 1) // jobs)
        return functools.partial(
            train_own, function=self._function, measure=self._measure, threads=threads, command=command
        )  # fmt: skip

    def read(self, result: Result) -> Result:
        """A finished run, read by the measure asked for now. Raises ArgumentError where it has no such value."""
        return self._measure.read(result)

    def warnings(self, specs: Sequence[OwnSpec], finished: Iterable[Result]) -> list[str]:
        """What to say before the first run: that finished runs were trained by another version of the function."""
        path, version = file_of(self._function), source_version(self._function)
        changed = sum(any(run.versions.get(name) != digest for name, digest in version.items()) for run in finished)
        if not changed or path is None:
            return []
        return [
            f"{changed} finished run{'s were' if changed > 1 else ' was'} trained with another version of {path.name}. "
            "Where the change matters to what is measured, begin in another folder (out)."
        ]
