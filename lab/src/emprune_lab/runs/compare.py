"""A comparison: the grid of runs, trained by one or several processes, resumable run by run."""

from __future__ import annotations

import functools
import itertools
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from emprune.errors import ArgumentError, DataError, EmpruneError
from emprune_lab.records.metrics import metric_named
from emprune_lab.records.results import RESULTS_FILE, Result, load_results, save_results
from emprune_lab.runs.event import Event
from emprune_lab.runs.interrupted import Interrupted
from emprune_lab.runs.runner import run
from emprune_lab.runs.workers import work_in_processes
from emprune_lab.specs.base import Experiment, Spec
from emprune_lab.specs.own import OwnSpec
from emprune_lab.specs.spec import RunSpec, build_pruner, policies_at
from emprune_lab.tasks import build_task, check_spec, training_data

RUNS_FOLDER = "runs"

S = TypeVar("S", RunSpec, OwnSpec)


class TrainsRun(Protocol):
    """Trains one run in its folder below ``folder``; None where it was stopped. It can be pickled."""

    def __call__(
        self, spec: Any, folder: Path, on_event: Callable[[Event], None], should_stop: Callable[[], bool]
    ) -> Result | None: ...


def grid(
    template: RunSpec,
    policies: Sequence[str],
    prune_rates: Sequence[float],
    seeds: Sequence[int],
    label_noises: Sequence[float],
    anneals: Sequence[float] = (0.0,),
) -> list[RunSpec]:
    """Every run of a comparison once, seed by seed, as :func:`~emprune_lab.specs.spec.policies_at` writes labels out.

    Raises:
        ArgumentError: a policy is unknown, a setting or rate is out of range, or a list is empty.
    """
    _check_lists(label_noise=label_noises, anneal=anneals)
    return [
        spec
        for noise, anneal in itertools.product(label_noises, anneals)
        for spec in runs_like(replace(template, label_noise=noise, anneal=anneal), policies, prune_rates, seeds)
    ]


def runs_like(template: S, policies: Sequence[str], prune_rates: Sequence[float], seeds: Sequence[int]) -> list[S]:
    """The same for one setting, that of the template.

    Raises:
        ArgumentError: as :func:`grid`.
    """
    _check_lists(policies=policies, prune_rates=prune_rates)
    asked = [one for label in policies for one in policies_at(label, prune_rates)]
    specs = [
        replace(template, policy=policy, prune_rate=rate, seed=seed)
        for seed, (policy, rate) in itertools.product(seeds, asked)
    ]
    return list({spec.run_id: spec for spec in specs}.values())


def _check_lists(**lists: Sequence[object]) -> None:
    for name, values in lists.items():
        if not values or len(set(values)) != len(values):
            raise ArgumentError(name, tuple(values), "at least one value, none twice")


def check(specs: Sequence[RunSpec]) -> dict[str, int]:
    """Build every run's data, task and pruner once, so that what is wrong shows before the first run starts.

    Returns:
        How many samples each run will train, at most where that follows from the scores, by its run_id.

    Raises:
        ArgumentError: something cannot be trained as its spec says. DataError: files are missing.
    """
    size = 0
    # Once for each label noise and recipe; the size does not depend on them.
    for spec in {(spec.label_noise, spec.recipe): spec for spec in specs}.values():
        data = training_data(spec)
        size = len(data)
        check_spec(spec, size)
        metric_named(build_task(spec, data, torch.device("cpu")).metric)
    for spec in specs:
        check_spec(spec, size)
    return {spec.run_id: sum(build_pruner(spec, size).kept) for spec in specs}


class Comparison:
    """The runs of one folder, and the results that they have so far.

    A run that the folder's results.json holds is finished, also where the folder of the run itself is gone: on a
    machine whose disk does not last, this one small file is enough to go on.

    Args:
        specs: its runs.
        folder: the comparison's; each run has its own folder in runs/ below it.
        read: a stored result → as it is to be reported.

    Attributes:
        results: by run_id, in the order in which they came; those of earlier calls with other specs too.
        failed: why runs of this call failed, by run_id.

    Raises:
        DataError: results.json is damaged, or belongs to another experiment; it stays as it is.
    """

    def __init__(
        self, specs: Sequence[Spec], folder: Path, read: Callable[[Result], Result] = lambda result: result
    ) -> None:
        self.specs, self.folder, self._path = specs, folder, folder / RESULTS_FILE
        self.results = {result.run_id: result for result in load_results(self._path)} if _exists(self._path) else {}
        self.failed: dict[str, str] = {}
        asked = {spec.run_id for spec in specs}
        experiments = [spec.experiment for spec in specs]
        for result in self.results.values():
            its = Experiment(result.data, result.split, result.imbalance, result.recipe)
            if result.run_id not in asked and its not in experiments:
                named = f"{result.model} on {result.data}, {result.split} split" if result.model else result.data
                raise DataError(
                    f"{self._path} holds results of another experiment ({named}, run {result.run_id}). Name another "
                    "folder with --out, or move it away."
                )
        self.results = {run_id: read(result) for run_id, result in self.results.items()}

    @property
    def missing(self) -> list[Spec]:
        """The runs without a result."""
        return [spec for spec in self.specs if spec.run_id not in self.results]

    def add(self, result: Result) -> None:
        """Keep one more result, in the folder's results.json too."""
        self.results[result.run_id] = result
        self.save()

    def save(self) -> None:
        """Write the folder's results.json."""
        save_results(self._path, self.results.values())

    def run_missing(
        self,
        on_event: Callable[[Event], None] = lambda event: None,
        should_stop: Callable[[], bool] = lambda: False,
        *,
        jobs: int = 1,
        trained_by: TrainsRun | None = None,
        **options: Any,
    ) -> None:
        """Train what is missing, until ``should_stop`` says so; unfinished runs have saved their state then.

        A run that fails is told as an event and stands in :attr:`failed`; the others go on.

        Args:
            on_event: called in this process, with progress, results and errors.
            should_stop: asked between steps.
            jobs: processes.
            trained_by: what trains a run; None: :func:`train`.
            options: of it.
        """
        work = functools.partial(_attempt, self.folder / RUNS_FOLDER, functools.partial(trained_by or train, **options))

        def record(event: Event) -> None:
            on_event(self._recorded(event))

        if jobs > 1:
            work_in_processes(self.missing, work, jobs, record, should_stop)
            return
        for spec in self.missing:
            record(work(spec, record, should_stop))

    def _recorded(self, event: Event) -> Event:
        """Keep what an event says of a run's end."""
        if event.result is not None:
            try:
                self.add(event.result)
            except OSError as error:  # the run itself has its result in its folder, and the others may fare better
                event = replace(event, result=None, error=f"{self._path} cannot be written ({error})")
        if event.error is not None:
            self.failed[event.spec.run_id] = event.error
        return event


def _exists(path: Path) -> bool:
    """Whether there is such a file; not in a folder that may not be looked into."""
    try:
        return path.exists()
    except OSError:
        return False


def _attempt(
    folder: Path,
    train: TrainsRun,
    spec: Spec,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
) -> Event:
    """Train a run; the event of its end, be it a failure."""
    try:
        return Event(spec, result=train(spec, folder, on_event, should_stop))
    except (EmpruneError, OSError) as error:
        return Event(spec, error=str(error))
    except Exception as error:  # one that nobody foresaw: who reads it needs all of it
        return Event(spec, error=f"{error}\n{''.join(traceback.format_exception(error))}".strip())


def train(
    spec: RunSpec,
    folder: Path,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
    *,
    threads: int = 1,
    **options: Any,
) -> Result | None:
    """Train one run in its folder below ``folder``; None where it was stopped, with its state saved.

    Args:
        threads: of this process.
        options: as of :func:`emprune_lab.runs.runner.run`.
    """
    if should_stop():
        return None
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return run(
            spec, folder / spec.run_id, on_progress=lambda progress: on_event(Event(spec, progress)),
            should_stop=should_stop, **options,
        )  # fmt: skip
    except Interrupted:
        return None
