"""The four commands as typed dataclasses; their fields are the options."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from emprune.errors import ArgumentError
from emprune.lab import compare
from emprune.lab.console import LiveView
from emprune.lab.data import Split
from emprune.lab.methods import methods_table
from emprune.lab.models import MODELS
from emprune.lab.recipe import recipe_for
from emprune.lab.reporting.report import write_report
from emprune.lab.reporting.tables import rich_tables
from emprune.lab.results import RESULTS_FILE, Result, load_result, save_results
from emprune.lab.spec import RunSpec
from emprune.schedule import Budget


def _comma_list(convert: Callable[[str], Any], metavar: str) -> Any:
    """A tuple written as one argument, "0.7,0.9"."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: tuple(convert(word) for word in words[0].split(",")),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda value: [",".join(str(item) for item in value)],
    )


Names = Annotated[tuple[str, ...], _comma_list(str, "NAME,NAME")]
Fractions = Annotated[tuple[float, ...], _comma_list(float, "X,X")]


@dataclass(frozen=True)
class Setting:
    """What is trained, and where."""

    data: str = "digits"
    """Data set: digits or fashion-mnist."""
    data_dir: str | None = None
    """Folder with its files; else EMPRUNE_DATA, else where Debian installs them."""
    model: str | None = None
    """mlp or cnn; else the data set's."""
    epochs: int | None = None
    """Epochs of a full run; else the data set's recipe. Likewise the next four."""
    batch_size: int | None = None
    max_lr: float | None = None
    train_size: int | None = None
    shift: int | None = None
    anneal: float = 0.0
    """Fraction of the epochs, at the end, that use all the data."""
    budget: Budget = "epoch"
    """Whether the rate is that of the pruned epochs or of the whole run, annealing counted."""
    split: Split = "test"
    """What to evaluate on; choose settings on the validation split, never on the test set."""
    device: str = "cpu"
    threads: int = 1
    """Threads of a process; results repeat to the last digit for the same number on the same machine."""
    json: bool = False
    """Print the results as JSON on standard output."""

    def template(self) -> RunSpec:
        """A spec with all but policy, rate and seed."""
        overrides = ("model", "epochs", "batch_size", "max_lr", "train_size", "shift")
        given: dict[str, Any] = {name: getattr(self, name) for name in overrides}
        if self.model is not None and self.model not in MODELS:
            raise ArgumentError("model", self.model, f"one of {', '.join(MODELS)}")
        recipe = dataclasses.replace(recipe_for(self.data), **{k: v for k, v in given.items() if v is not None})
        return RunSpec(
            self.data, "full", 0.0, 0, recipe, split=self.split, anneal=self.anneal, budget=self.budget,
            data_dir=self.data_dir,
        )  # fmt: skip


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
    out: Path = Path("runs/compare")
    """Folder of the results; a second call goes on where the first stopped."""
    jobs: int | None = None
    """Runs at the same time; else one for each core."""

    def __call__(self, console: Console, command: str) -> int:
        if self.seeds < 1:
            raise ArgumentError("seeds", self.seeds, "an integer of at least 1")
        seeds = range(self.first_seed, self.first_seed + self.seeds)
        specs = compare.grid(
            self.setting.template(), self.policies, self.prune_rates, seeds, self.label_noise
        )  # fmt: skip
        jobs = self.jobs or (os.cpu_count() or 1 if self.setting.device == "cpu" else 1)
        results = _work_off(specs, self.out, self.setting, min(jobs, len(specs)), console, command)
        _publish(
            results,
            self.out,
            self.out / compare.RUNS_FOLDER,
            console,
            as_json=self.setting.json,
            data_dir=self.setting.data_dir,
        )
        return 0


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
    out: Path = Path("runs/train")
    """Folder of the result; a second call goes on where the first stopped."""

    def __call__(self, console: Console, command: str) -> int:
        template = self.setting.template()
        specs = compare.grid(template, [self.policy], [self.prune_rate], [self.seed], [self.label_noise])
        (result,) = _work_off(specs, self.out, self.setting, 1, console, command)
        if self.setting.json:
            print(json.dumps(dataclasses.asdict(result)))
        console.print(
            f"{result.metric} {result.accuracy:.2%}, remembered {result.remembered:.2%}, realised rate "
            f"{result.realised_rate:.4f}: {self.out / compare.RUNS_FOLDER / result.run_id}", highlight=False,
        )  # fmt: skip
        return 0


@dataclass(frozen=True)
class Report:
    """Write table, figures and report.html from finished runs."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of finished runs, or folders that hold such folders."""
    out: Path = Path("runs/report")
    """Folder of the report."""
    data_dir: str | None = None
    """Folder of the data set's files, for the contact sheets."""
    json: bool = False
    """Print the results as JSON on standard output."""

    def __call__(self, console: Console, command: str) -> int:
        found = sorted({path.parent for folder in self.runs for path in folder.rglob("result.json")})
        if not found:
            raise ArgumentError("runs", ", ".join(map(str, self.runs)), "folders in which finished runs lie")
        if len({folder.parent for folder in found}) > 1:
            raise ArgumentError("runs", ", ".join(map(str, self.runs)), "runs of one comparison, in one folder")
        results = [load_result(folder) for folder in found]
        _publish(results, self.out, found[0].parent, console, as_json=self.json, data_dir=self.data_dir)
        return 0


@dataclass(frozen=True)
class Methods:
    """List every policy, rule and score with its source."""

    def __call__(self, console: Console, command: str) -> int:
        console.print(methods_table())
        return 0


def _work_off(
    specs: list[RunSpec], out: Path, setting: Setting, jobs: int, console: Console, command: str
) -> list[Result]:
    compare.check(specs)
    stop = _stop_on_signals(console)
    with LiveView(console, len(specs)) as view:
        return compare.work_off(
            specs, out, view.show, stop, jobs=jobs, threads=setting.threads, device=setting.device, command=command
        )


def _stop_on_signals(console: Console) -> threading.Event:
    """A flag that Ctrl-C or SIGTERM sets; a second one ends the process at once."""
    stop = threading.Event()

    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        console.print("Stopping after this step; once more to end without saving.")

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, handle)
        signal.signal(signal.SIGTERM, handle)
    return stop


def _publish(
    results: list[Result], out: Path, runs: Path, console: Console, *, as_json: bool, data_dir: str | None
) -> None:
    """Write results.json, table, figures and report; print the table, and the paths last."""
    save_results(out / RESULTS_FILE, results)
    files = write_report(out, results, runs, data_dir=data_dir)
    for table in rich_tables(results):
        console.print(table)
    if as_json:
        print(json.dumps([dataclasses.asdict(result) for result in results]))
    for path in (out / RESULTS_FILE, files.table, files.report):
        console.print(str(path), highlight=False, soft_wrap=True)
