"""``emprune_lab.compare``: a comparison of policies on the caller's own data and model."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import current_process
from pathlib import Path
from typing import Any

from rich.console import Console

from emprune_lab.commandline.commands import OWN_POLICIES, OWN_PRUNE_RATES, OWN_SEEDS
from emprune_lab.commandline.options import Publication, seed_range
from emprune_lab.commandline.own import OwnRuns, own_specs
from emprune_lab.commandline.work import carry_out
from emprune_lab.records.results import Result
from emprune_lab.report.answer import own_answers
from emprune_lab.report.page import REPORT_FILE
from emprune_lab.report.summary import summary
from emprune_lab.runs.interrupted import Interrupted
from emprune_lab.runs.own.function import check_function, check_importable
from emprune_lab.runs.own.measure import Measure
from emprune_lab.runs.workers import NOT_GUARDED, UnguardedError


@dataclass(frozen=True)
class Compared:
    """What a comparison found.

    Attributes:
        answers: sentences, the first what pruning costs and saves at the rate that matters most, then other rates.
        summary: the statistics, as summary.json has them.
        results: the runs.
        report: the page with table and figures.
    """

    answers: list[str]
    summary: dict[str, Any]
    results: list[Result]
    report: Path


def compare(
    train: Callable[..., float | Mapping[str, float]],
    *,
    num_samples: int | None = None,
    num_epochs: int | None = None,
    policies: Sequence[str] = OWN_POLICIES,
    prune_rates: Sequence[float] = OWN_PRUNE_RATES,
    seeds: int = OWN_SEEDS,
    first_seed: int = 0,
    anneal: float = 0.0,
    metric: str | None = None,
    lower_is_better: bool = False,
    reference: str = "random",
    jobs: int = 1,
    threads: int | None = None,
    budget_minutes: float | None = None,
    out: str | Path = "runs/compare",
    show: Callable[[int], Any] | None = None,
) -> Compared:
    """Train with every policy at every rate and seed, and write table, figures and report: does pruning help here?

    A second call goes on where the first was stopped or killed. A run that raises is told with its traceback and tried
    again by the next call; the others go on.

    Args:
        train: of (pruner, seed), or (pruner, seed, folder): builds a model from the seed, trains it for all of the
            pruner's epochs, and returns what it reached on held-out data: a number, or a dict of numbers. ``folder``,
            if it has such an argument, is the run's own, for checkpoints of its own. Before each call the global
            generators of Python, numpy and torch are seeded with the seed.
        num_samples: N, the length of the training set.
        num_epochs: E of a full run. None: attributes of the function.
        policies: labels as of ``emprune compare``, "emp:beta=2". "ladder" is plain training in 1/16 to all of the
            samples: fewer epochs, so the function must ask the pruner how many there are.
        prune_rates: fractions left out, each in [0, 1).
        seeds: how many, from ``first_seed`` on.
        anneal: fraction of the epochs, at the end, that use all the data.
        metric: which of the numbers heads the comparison; None: the first.
        lower_is_better: as of a loss.
        reference: policy that all others are compared with, paired by seed.
        jobs: runs at the same time, in processes if more than one; they must be able to import the function.
        threads: of a process; None: what torch takes, shared among the jobs.
        budget_minutes: stop in time; the same call goes on.
        out: folder of the results.
        show: what a sample shows, by its id, for the report: an image (of PIL, an array or tensor, the path of a file)
            or text.

    Returns:
        What was found so far; with ``budget_minutes`` some runs may be left.

    Raises:
        ArgumentError: a policy is unknown, a value is out of range, or the function cannot be called or imported.
        DataError: the folder holds another experiment.
        EmpruneError: runs failed; the others are finished and published.
        KeyboardInterrupt: Ctrl-C; what is finished is saved.
    """
    _check_guard()
    check_function(train)
    if jobs > 1:
        check_importable(train)
    specs = own_specs(
        train, tuple(policies), tuple(prune_rates), seed_range(first_seed, seeds), (anneal,),
        num_samples=num_samples, num_epochs=num_epochs,
    )  # fmt: skip
    console = Console(width=None if sys.stdout.isatty() else 120, emoji=False)
    runs = OwnRuns(train, Measure(metric, lower_is_better), threads)
    try:
        results = carry_out(
            specs, Path(out), runs, Publication(reference), console, _command(), jobs=jobs,
            budget_minutes=budget_minutes, show=show,
        )  # fmt: skip
    except Interrupted as stopped:
        console.print(f"Stopped: {stopped}. {stopped.saved}; the same call goes on.", highlight=False, markup=False)
        raise KeyboardInterrupt from None
    if reference not in {result.policy for result in results}:  # its first run is still to come
        reference = "random"
    return Compared(own_answers(results, reference), summary(results, reference), results, Path(out) / REPORT_FILE)


def _check_guard() -> None:
    """End a process that only imports the script to find its function, or a loader's, and say why."""
    if getattr(current_process(), "_inheriting", False):  # what multiprocessing itself looks at
        os.write(2, f"{UnguardedError()}\n".encode())
        os._exit(NOT_GUARDED)


def _command() -> str:
    """What repeats the call, as far as a program can know."""
    return shlex.join(["python", *sys.argv]) if sys.argv[0] else "python"
