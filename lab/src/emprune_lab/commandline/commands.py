"""The commands as typed dataclasses; their fields are the options."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.console import Console

from emprune.errors import ArgumentError
from emprune_lab.commandline.console import LiveView
from emprune_lab.commandline.methods import methods_table
from emprune_lab.commandline.options import Fractions, Names, Setting
from emprune_lab.commandline.publishing import Publication, carry_out, publish
from emprune_lab.commandline.stopping import Stop
from emprune_lab.records.results import RESULT_FILE, RESULTS_FILE, Result, load_result, load_results, save_results
from emprune_lab.runs import compare
from emprune_lab.runs.runner import run
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
    anneal: Fractions | None = None
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
        template = self.setting.template()
        anneal = template.anneal if self.anneal is None else self.anneal
        specs = compare.grid(template, [self.policy], [self.prune_rate], [self.seed], [self.label_noise], [anneal])
        compare.check(specs)
        result = self._run(specs[0], console, command)
        if self.setting.json:
            print(json.dumps(dataclasses.asdict(result)))
        console.print(
            f"{result.headline}, remembered {result.remembered:.2%}, realised rate "
            f"{result.realised_rate:.4f}: {self.out / compare.RUNS_FOLDER / result.run_id}", highlight=False,
        )  # fmt: skip
        return 0

    def _run(self, spec: RunSpec, console: Console, command: str) -> Result:
        stop = Stop()
        torch.set_num_threads(self.setting.threads)
        with stop.on_signals(console.print), LiveView(console, 1) as view:
            result = run(
                spec, self.out / compare.RUNS_FOLDER / spec.run_id, command=command, device=self.setting.device,
                mode=self.setting.mode, on_progress=lambda progress: view.show(compare.Event(spec, progress)),
                should_stop=stop.is_set,
            )  # fmt: skip
            view.show(compare.Event(spec, result=result))
        return result


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
        save_results(self.out / RESULTS_FILE, results)
        publish(
            results, self.out, folder, self.publication, console, as_json=self.json, data_dir=self.data_dir
        )  # fmt: skip
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
            raise ArgumentError(
                "runs", ", ".join(map(str, self.runs)), f"folders in which finished runs lie, or one {RESULTS_FILE}"
            )
        return load_results(whole[0]), whole[0] / compare.RUNS_FOLDER


@dataclass(frozen=True)
class Methods:
    """List every policy, rule and score with its source."""

    def __call__(self, console: Console, command: str) -> int:
        console.print(methods_table())
        return 0


def seed_range(first: int, count: int) -> range:
    """``count`` seeds from ``first`` on. Raises ArgumentError where there is none."""
    if count < 1:
        raise ArgumentError("seeds", count, "an integer of at least 1")
    return range(first, first + count)
