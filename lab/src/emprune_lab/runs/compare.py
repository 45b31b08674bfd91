"""A comparison: the grid of runs, trained by one or several processes, resumable run by run."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from emprune.errors import ArgumentError, DataError, EmpruneError
from emprune_lab.records.results import RESULTS_FILE, Result, load_results, save_results
from emprune_lab.runs.progress import Progress
from emprune_lab.runs.runner import Interrupted, run
from emprune_lab.specs.spec import RunSpec, parse_policy
from emprune_lab.tasks import check_spec, training_data

RUNS_FOLDER = "runs"


@dataclass(frozen=True)
class Event:
    """Of one run: progress while it trains; at its end none, and the result unless it was interrupted."""

    spec: RunSpec
    progress: Progress | None = None
    result: Result | None = None


def grid(
    template: RunSpec,
    policies: Sequence[str],
    prune_rates: Sequence[float],
    seeds: Sequence[int],
    label_noises: Sequence[float],
    anneals: Sequence[float] = (0.0,),
) -> list[RunSpec]:
    """Every run of a comparison, seed by seed; ``full`` does not depend on the rate and is run once a seed.

    Raises:
        ArgumentError: a policy is unknown, a setting or rate is out of range, or a list is empty.
    """
    lists: dict[str, Sequence[object]] = {
        "policies": policies, "prune_rates": prune_rates, "label_noise": label_noises, "anneal": anneals
    }  # fmt: skip
    for name, values in lists.items():
        if not values or len(set(values)) != len(values):
            raise ArgumentError(name, tuple(values), "at least one value, none twice")
    specs: dict[str, RunSpec] = {}
    for noise, anneal, seed, policy in itertools.product(label_noises, anneals, seeds, policies):
        for rate in [0.0] if parse_policy(policy)[0] == "full" else prune_rates:
            spec = replace(template, policy=policy, prune_rate=rate, seed=seed, label_noise=noise, anneal=anneal)
            specs[spec.run_id] = spec
    return list(specs.values())


def check(specs: Sequence[RunSpec]) -> None:
    """Build every run's data and pruner once, so that what is wrong shows before the first run starts."""
    # Read once for each label noise; the size does not depend on it.
    sizes = [len(training_data(spec)) for spec in {spec.label_noise: spec for spec in specs}.values()]
    for spec in specs:
        check_spec(spec, sizes[0])


class Comparison:
    """The runs of one folder, and the results that they have so far.

    A run that the folder's results.json holds is finished, also where the folder of the run itself is gone: on a
    machine whose disk does not last, this one small file is enough to go on.

    Args:
        specs: its runs.
        folder: the comparison's; each run has its own folder in runs/ below it.

    Attributes:
        results: by run_id, in the order in which they came; those of earlier calls with other specs too.

    Raises:
        DataError: results.json is damaged, or belongs to another experiment; it stays as it is.
    """

    def __init__(self, specs: Sequence[RunSpec], folder: Path) -> None:
        self.specs, self.folder, self._path = specs, folder, folder / RESULTS_FILE
        self.results = {result.run_id: result for result in load_results(self._path)} if self._path.is_file() else {}
        asked = {spec.run_id for spec in specs}
        kinds = [(spec.data, spec.split, spec.imbalance, spec.recipe.as_dict()) for spec in specs]
        for result in self.results.values():
            kind = (result.data, result.split, result.imbalance, result.recipe)
            if result.run_id not in asked and kind not in kinds:
                raise DataError(
                    f"{self._path} holds results of another experiment ({result.model} on {result.data}, "
                    f"{result.split} split, run {result.run_id}). Name another folder with --out, or move it away."
                )

    @property
    def missing(self) -> list[RunSpec]:
        """The runs without a result."""
        return [spec for spec in self.specs if spec.run_id not in self.results]

    def add(self, result: Result) -> None:
        """Keep one more result, in the folder's results.json too."""
        self.results[result.run_id] = result
        save_results(self._path, self.results.values())

    def run_missing(
        self,
        on_event: Callable[[Event], None] = lambda event: None,
        should_stop: Callable[[], bool] = lambda: False,
        *,
        jobs: int = 1,
        **options: Any,
    ) -> None:
        """Train what is missing, until ``should_stop`` says so; unfinished runs have saved their state then.

        Args:
            on_event: called in this process, with progress and results.
            should_stop: asked between steps.
            jobs: processes. options: as of :func:`train`.
        """
        folder = self.folder / RUNS_FOLDER

        def record(event: Event) -> None:
            if event.result is not None:
                self.add(event.result)
            on_event(event)

        if jobs > 1:
            _train_in_processes(self.missing, folder, record, should_stop, jobs, options)
            return
        for spec in self.missing:
            record(Event(spec, result=train(spec, folder, record, should_stop, **options)))


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
        threads: of this process. options: as of :func:`emprune_lab.runs.runner.run`.
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


def _train_in_processes(
    specs: Sequence[RunSpec], folder: Path, on_event: Callable[[Event], None], should_stop: Callable[[], bool],
    jobs: int, options: dict[str, Any],
) -> None:  # fmt: skip
    context = multiprocessing.get_context("spawn")
    events, stop = context.SimpleQueue(), context.Event()
    with ProcessPoolExecutor(jobs, context, initializer=_begin_worker, initargs=(events, stop)) as pool:
        running = {pool.submit(_train_in_worker, spec, folder, options): spec for spec in specs}
        try:
            while running:
                done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                if should_stop():
                    stop.set()
                while not events.empty():
                    on_event(events.get())
                for future in done:
                    on_event(Event(running.pop(future), result=future.result()))
        except BrokenProcessPool as error:
            raise EmpruneError(
                "a process of the comparison was killed, for want of memory perhaps. Finished runs are saved, the "
                "others have their last checkpoint; the same command goes on, with fewer --jobs if memory was short."
            ) from error
        finally:
            stop.set()  # leaving the pool waits for its runs


_worker: dict[str, Any] = {}


def _begin_worker(events: Any, stop: Any) -> None:
    # The parent decides: it sets the event, and every worker saves its state at the next step.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.update(events=events, stop=stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process where its parent was killed: it would train on beside the next call's, then wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _train_in_worker(spec: RunSpec, folder: Path, options: dict[str, Any]) -> Result | None:
    return train(spec, folder, _worker["events"].put, _worker["stop"].is_set, **options)
