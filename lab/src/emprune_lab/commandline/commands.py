"""The commands as typed dataclasses; their fields are the options."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from emprune.errors import ArgumentError, did_you_mean
from emprune_lab.commandline.console import LiveView, Stop
from emprune_lab.commandline.options import Fractions, FractionsOrNone, Names, Publication, Setting, check_least
from emprune_lab.records.results import RESULT_FILE, RESULTS_FILE, Result, load_result, load_results, save_results
from emprune_lab.report.costs import RANDOM
from emprune_lab.report.page import write_report
from emprune_lab.report.tables import rich_tables
from emprune_lab.runs import compare
from emprune_lab.runs.compare import RUNS_FOLDER, Comparison
from emprune_lab.runs.runner import Interrupted
from emprune_lab.specs.spec import RunSpec


@dataclass(frozen=True)
class Compare:
    """Train every policy at every rate and seed on equal sample budgets; write table, figures and report."""

    setting: Annotated[Setting, tyro.conf.arg(name="")] = field(default_factory=Setting)
    policies: Names = ("full", "short", "random", "lfl", "infobatch", "emp")
    """Policies, with settings behind colons: full,random,emp:beta=2:rule=top (see `emprune methods`)."""
    prune_rates: Fractions = (0.7, 0.9)
    """Fractions left out."""
    seeds: int = 5
    """How many seeds."""
    first_seed: int = 0
    label_noise: Fractions = (0.0,)
    """Fractions of wrong training labels, each a comparison of its own."""
    anneal: FractionsOrNone = None
    """Fractions of the epochs, at the end, that use all the data, likewise; else the preset's."""
    out: Path = Path("runs/compare")
    """Folder of the results; a second call goes on where the first stopped."""
    jobs: int | None = None
    """Runs at the same time; else one for each core, or one on a device."""
    budget_minutes: float | None = None
    """Stop in time, with everything saved; the same command goes on."""
    publication: Annotated[Publication, tyro.conf.arg(name="")] = field(default_factory=Publication)

    def __call__(self, console: Console, command: str) -> int:
        return carry_out(
            self.specs(), self.out, self.setting, self.publication, console, command,
            jobs=self.jobs, budget_minutes=self.budget_minutes,
        )  # fmt: skip

    def specs(self) -> list[RunSpec]:
        """Every run, seed by seed."""
        seeds = seed_range(self.first_seed, self.seeds)
        template = self.setting.template()
        anneals = self.anneal or (template.anneal,)
        return compare.grid(template, self.policies, self.prune_rates, seeds, self.label_noise, anneals)


@dataclass(frozen=True)
class Train:
    """Train one policy at one rate."""

    setting: Annotated[Setting, tyro.conf.arg(name="")] = field(default_factory=Setting)
    policy: str = "emp"
    """A policy, with settings behind colons: emp:beta=2 (see `emprune methods`)."""
    prune_rate: float = 0.7
    """Fraction left out."""
    seed: int = 0
    label_noise: float = 0.0
    """Fraction of wrong training labels."""
    anneal: float | None = None
    """Fraction of the epochs, at the end, that use all the data; else the preset's."""
    out: Path = Path("runs/train")
    """Folder of the result; a second call goes on where the first stopped."""

    def __call__(self, console: Console, command: str) -> int:
        template, stop = self.setting.template(), Stop()
        anneal = template.anneal if self.anneal is None else self.anneal
        [spec] = compare.grid(template, [self.policy], [self.prune_rate], [self.seed], [self.label_noise], [anneal])
        compare.check([spec])
        with stop.on_signals(console.print), LiveView(console, 1) as view:
            options = self.setting.run_options
            result = compare.train(spec, self.out / RUNS_FOLDER, view.show, stop, command=command, **options)
            view.show(compare.Event(spec, result=result))
        if result is None:
            raise Interrupted(spec.run_id)
        if self.setting.json:
            print(json.dumps(dataclasses.asdict(result)))
        console.print(
            f"{result.headline}, remembered {result.remembered:.2%}, realised rate {result.realised_rate:.4f}: "
            f"{self.out / RUNS_FOLDER / result.run_id}", highlight=False, markup=False,
        )  # fmt: skip
        return 0


@dataclass(frozen=True)
class Report:
    """Write table, figures and report.html from finished runs."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of finished runs, folders that hold such folders, or one with a comparison's results.json alone."""
    out: Path = Path("runs/report")
    """Folder of the report."""
    data_dir: str | None = None
    """Folder of the data set's files, for the contact sheets."""
    publication: Annotated[Publication, tyro.conf.arg(name="")] = field(default_factory=Publication)
    json: bool = False
    """Print the results as JSON on standard output."""

    def __call__(self, console: Console, command: str) -> int:
        results, folder = self._finished()
        self.out.mkdir(parents=True, exist_ok=True)
        save_results(self.out / RESULTS_FILE, results)
        _publish(results, self.out, folder, self.publication, console, as_json=self.json, data_dir=self.data_dir)
        return 0

    def _finished(self) -> tuple[list[Result], Path]:
        """The results, and the folder in which their runs lie, if they are kept."""
        found = sorted({path.parent for folder in self.runs for path in folder.rglob(RESULT_FILE)})
        if len({folder.parent for folder in found}) > 1:
            raise ArgumentError("runs", ", ".join(map(str, self.runs)), "runs of one comparison, in one folder")
        if found:
            return [load_result(folder) for folder in found], found[0].parent
        whole = [folder for folder in self.runs if (folder / RESULTS_FILE).is_file()]
        if len(whole) != 1:
            below = sorted({str(path.parent) for folder in self.runs for path in folder.rglob(RESULTS_FILE)})
            raise ArgumentError(
                "runs", ", ".join(map(str, self.runs)) or None,
                f"folders in which finished runs lie, or one {RESULTS_FILE}",
                f"There is one in each of {', '.join(below)}: name one of them." if below else "",
            )  # fmt: skip
        return load_results(whole[0]), whole[0] / RUNS_FOLDER


def seed_range(first: int, count: int) -> range:
    """``count`` seeds from ``first`` on. Raises ArgumentError where there is none."""
    check_least(1, seeds=count)
    return range(first, first + count)


def carry_out(
    specs: Sequence[RunSpec],
    out: Path,
    setting: Setting,
    publication: Publication,
    console: Console,
    command: str,
    *,
    jobs: int | None = None,
    budget_minutes: float | None = None,
) -> int:
    """Train what is not finished, and publish what is.

    Args:
        jobs: runs at the same time; None: one for each core, or one on a device.
        budget_minutes: stop in time, which is no failure.

    Returns:
        The exit code.

    Raises:
        Interrupted: a signal stopped it.
        DataError: the folder holds another experiment.
        ArgumentError: the reference is not among the policies, or a number is out of range.
    """
    policies = list(dict.fromkeys(spec.policy for spec in specs))
    if publication.reference not in (RANDOM, *policies):
        raise ArgumentError(
            "reference", publication.reference, f"one of the policies, {', '.join(policies)}",
            did_you_mean(publication.reference, policies),
        )  # fmt: skip
    check_least(1, jobs=jobs)
    stop, comparison = Stop(budget_minutes), Comparison(specs, out)
    missing = comparison.missing
    compare.check(missing)
    jobs = jobs or (os.cpu_count() or 1 if setting.device == "cpu" else 1)
    with stop.on_signals(console.print), LiveView(console, len(missing)) as view:
        comparison.run_missing(view.show, stop, jobs=min(jobs, len(missing)), command=command, **setting.run_options)
    left = len(comparison.missing)
    if left and stop.asked:
        raise Interrupted(f"{len(specs) - left} of {len(specs)} runs are finished")
    if comparison.results:
        results = list(comparison.results.values())
        if publication.reference not in {result.policy for result in results}:  # time ran out before its first run
            publication = dataclasses.replace(publication, reference=RANDOM)
        _publish(
            results, out, out / RUNS_FOLDER, publication, console, as_json=setting.json, data_dir=setting.data_dir
        )  # fmt: skip
    if left:
        console.print(f"{left} of {len(specs)} runs are left. Go on with:\n  {command}", highlight=False, markup=False)
    return 0


def _publish(
    results: Sequence[Result],
    out: Path,
    runs: Path,
    publication: Publication,
    console: Console,
    *,
    as_json: bool,
    data_dir: str | None,
) -> None:
    """Write table, figures and report; print the table, and the paths last."""
    reference, interval = publication.reference, publication.interval
    files = write_report(out, results, runs, data_dir=data_dir, reference=reference, interval=interval)
    for table in rich_tables(results, reference=reference, interval=interval):
        console.print(table)
    if as_json:
        print(json.dumps([dataclasses.asdict(result) for result in results]))
    for path in (out / RESULTS_FILE, files.table, files.report):
        console.print(str(path), highlight=False, markup=False, soft_wrap=True)
