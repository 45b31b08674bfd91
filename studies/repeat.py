"""Train committed runs again and compare what they recorded, to the last digit.

    python -m studies.repeat studies/fashion-mnist --policy emp --prune-rate 0.9 --seed 0

The exit code is 1 where a run differs. Equal digits can be expected on the processor that the run records, with the
same versions and number of threads.
"""

from __future__ import annotations

import dataclasses
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from rich.console import Console
from rich.table import Table

from emprune.errors import ArgumentError
from emprune_lab.cli import FAILURE, exit_code
from emprune_lab.records.results import Result, load_results
from emprune_lab.runs.runner import run
from emprune_lab.specs.recipe import Recipe
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import kind_of

COMPARED = ("accuracy", "remembered", "remembered_true", "samples_forward", "samples_backward", "optimizer_steps")
"""Fields of a result that repeat, beside its metrics; accuracy holds the value of the metric that heads them."""


@dataclass(frozen=True)
class Repeat:
    """Train committed runs again and compare metric value, remembered and samples with what is recorded."""

    results: tyro.conf.Positional[Path]
    """A results.json, or the folder that holds it."""
    run_id: str | None = None
    """Only this run; likewise the next four, which may leave several."""
    policy: str | None = None
    prune_rate: float | None = None
    label_noise: float | None = None
    seed: int | None = None
    data_dir: str | None = None
    """Folder with the data set's files; else EMPRUNE_DATA, else where Debian installs them."""
    threads: int = 1
    """Threads of the process; the committed runs had one."""

    def chosen(self) -> list[Result]:
        """The runs asked for. Raises ArgumentError where there is none."""
        asked = {name: getattr(self, name) for name in ("run_id", "policy", "prune_rate", "label_noise", "seed")}
        asked = {name: value for name, value in asked.items() if value is not None}
        found = [
            result
            for result in load_results(self.results)
            if all(getattr(result, name) == value for name, value in asked.items())
        ]
        if not found:
            raise ArgumentError("run", asked, f"one of those in {self.results}")
        return found


def spec_of(result: Result, data_dir: str | None = None) -> RunSpec:
    """What a stored result was trained from.

    Its run_id is the result's, but for results from before recipes had an optimizer, whose identity was made of less.
    """
    return RunSpec(
        result.data, result.policy, result.prune_rate, result.seed, _recipe_of(result), split=result.split,  # type: ignore[arg-type]
        label_noise=result.label_noise, anneal=result.anneal, budget=result.budget, imbalance=result.imbalance,  # type: ignore[arg-type]
        data_dir=data_dir,
    )  # fmt: skip


def _recipe_of(result: Result) -> Recipe:
    kind = kind_of(result.data, result.recipe)
    if kind is None:
        raise ArgumentError("data", result.data, "a data set that a task here knows")
    own = result.recipe[kind.settings.nested] if kind.settings.nested else result.recipe
    return Recipe(**_fields(Recipe, result.recipe), task=kind.settings(**_fields(kind.settings, own)))


def _fields(settings: type[Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    return {one.name: stored[one.name] for one in dataclasses.fields(settings) if one.name in stored}


def differences(recorded: Result, repeated: Result) -> Iterator[tuple[str, Any, Any]]:
    """Name, recorded and repeated value of each number that differs; of the epochs' losses only the first."""
    numbers = [(name, getattr(recorded, name), getattr(repeated, name)) for name in COMPARED]
    further = [(name, value, repeated.metrics.get(name)) for name, value in recorded.metrics.items()]
    for name, before, after in numbers + further:
        if before != after:
            yield name, before, after
    for epoch, (before, after) in enumerate(zip(recorded.history, repeated.history, strict=False), 1):
        if before["loss"] != after["loss"]:
            yield f"loss of epoch {epoch}", before["loss"], after["loss"]
            break


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 where all runs repeat; 1 where one differs; else as :func:`emprune_lab.cli.exit_code`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = tyro.cli(Repeat, prog="python -m studies.repeat", args=arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    return exit_code(lambda: _carry_out(options, console), f"python -m studies.repeat {shlex.join(arguments)}")


def _carry_out(options: Repeat, console: Console) -> int:
    torch.set_num_threads(options.threads)
    table = Table("run", "metric", "recorded", "repeated", "what differs: recorded → repeated")
    same = True
    for recorded in options.chosen():
        with tempfile.TemporaryDirectory() as folder:
            spec = spec_of(recorded, options.data_dir)
            repeated = run(spec, Path(folder) / "runs" / spec.run_id)
        found = [f"{name}: {before!r} → {after!r}" for name, before, after in differences(recorded, repeated)]
        values = [f"{result.accuracy!r}" for result in (recorded, repeated)]
        table.add_row(recorded.run_id, recorded.metric, *values, "\n".join(found) or "nothing")
        same = same and not found
        table.caption = f"recorded: {_origin(recorded)}\nrepeated: {_origin(repeated)}"
    console.print(table)
    return 0 if same else FAILURE


def _origin(result: Result) -> str:
    return f"{result.device}, torch {result.versions['torch']}, commit {result.git_commit}"


if __name__ == "__main__":
    sys.exit(main())
