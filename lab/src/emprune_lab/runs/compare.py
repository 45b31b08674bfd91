"""A comparison: the grid of runs, worked off by one or several processes, resumable run by run."""

from __future__ import annotations

import itertools
import multiprocessing
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from emprune.errors import ArgumentError, EmpruneError
from emprune_lab.records.results import Result
from emprune_lab.runs.progress import Progress
from emprune_lab.runs.runner import Interrupted, run
from emprune_lab.runs.steps import Mode
from emprune_lab.specs.spec import RunSpec, parse_policy
from emprune_lab.tasks import check_spec, training_data

RUNS_FOLDER = "runs"


class Flag(Protocol):
    """What a signal handler sets and steps ask."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True)
class Event:
    """News of one run: progress while it trains; at its end none, and the result unless it was interrupted."""

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
            spec = replace(
                template, policy=policy, prune_rate=rate, seed=seed, label_noise=noise, anneal=anneal
            )  # fmt: skip
            specs[spec.run_id] = spec
    return list(specs.values())


def check(specs: Sequence[RunSpec]) -> None:
    """Build every run's data and pruner once, so that what is wrong shows before the first run starts."""
    # Read once for each label noise; the size does not depend on it.
    sizes = [len(training_data(spec)) for spec in {spec.label_noise: spec for spec in specs}.values()]
    for spec in specs:
        check_spec(spec, sizes[0])


def work_off(
    specs: Sequence[RunSpec],
    folder: Path,
    on_event: Callable[[Event], None],
    stop: Flag | None = None,
    *,
    jobs: int = 1,
    threads: int = 1,
    device: str = "cpu",
    mode: Mode = "plain",
    command: str = "",
) -> list[Result]:
    """Run what is not finished yet and return all results, in the order of ``specs``.

    Args:
        folder: the comparison's; each run has its own folder in runs/ below it.
        on_event: called in this process for every news.
        stop: set by a signal handler; None: nothing stops it.
        jobs: processes; threads: of each. device, mode: of all. command:
            repeats the comparison.

    Raises:
        Interrupted: ``stop`` was set; unfinished runs have saved their state.
    """
    call = _Call(folder / RUNS_FOLDER, threads, device, mode, command)
    if jobs == 1:
        events = _in_this_process(specs, call, on_event, stop)
    else:
        events = _in_processes(specs, call, stop, jobs)
    results: dict[str, Result] = {}
    for event in events:
        if event.result is not None:
            results[event.spec.run_id] = event.result
        on_event(event)
    if len(results) < len(specs):
        raise Interrupted(f"{len(results)} of {len(specs)} runs are finished")
    return [results[spec.run_id] for spec in specs]


@dataclass(frozen=True)
class _Call:
    """What all runs of a comparison share."""

    folder: Path
    threads: int
    device: str
    mode: Mode
    command: str

    def run(self, spec: RunSpec, tell: Callable[[Progress], None], should_stop: Callable[[], bool]) -> Result | None:
        torch.set_num_threads(self.threads)
        if should_stop():
            return None
        folder = self.folder / spec.run_id
        try:
            return run(
                spec, folder, command=self.command, device=self.device, mode=self.mode, on_progress=tell,
                should_stop=should_stop,
            )  # fmt: skip
        except Interrupted:
            return None


def _in_this_process(
    specs: Sequence[RunSpec], call: _Call, on_event: Callable[[Event], None], stop: Flag | None
) -> Iterator[Event]:
    def should_stop() -> bool:
        return stop is not None and stop.is_set()

    for spec in specs:
        result = call.run(spec, lambda progress, spec=spec: on_event(Event(spec, progress)), should_stop)  # type: ignore[misc]
        yield Event(spec, result=result)


def _in_processes(specs: Sequence[RunSpec], call: _Call, stop: Flag | None, jobs: int) -> Iterator[Event]:
    context = multiprocessing.get_context("spawn")
    news: Any = context.Queue()
    halt = context.Event()
    with ProcessPoolExecutor(jobs, context, initializer=_begin_worker, initargs=(news, halt)) as pool:
        running: dict[Future[Result | None], RunSpec] = {pool.submit(_work, spec, call): spec for spec in specs}
        while running:
            if stop is not None and stop.is_set():
                halt.set()
            yield from _drain(news)
            for future in [future for future in running if future.done()]:
                yield Event(running.pop(future), result=_result_of(future))


def _result_of(future: Future[Result | None]) -> Result | None:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise EmpruneError(
            "a process of the comparison was killed, for want of memory perhaps. Finished runs are saved, the others "
            "have their last checkpoint; the same command goes on, with fewer --jobs if memory was short."
        ) from error


def _drain(news: Any) -> Iterator[Event]:
    """What has arrived, waiting a moment for the first."""
    try:
        yield news.get(timeout=0.2)
        while True:
            yield news.get_nowait()
    except queue.Empty:
        return


_worker: dict[str, Any] = {}


def _begin_worker(news: Any, halt: Any) -> None:
    import signal

    # The parent decides: it sets the halt flag, and every worker saves its state at the next step.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.update(news=news, halt=halt)


def _work(spec: RunSpec, call: _Call) -> Result | None:
    return call.run(spec, lambda progress: _worker["news"].put(Event(spec, progress)), _worker["halt"].is_set)
