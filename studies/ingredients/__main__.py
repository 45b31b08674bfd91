"""The study's command: train what runs.json lacks, then write table and figure."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import tyro
from rich.console import Console
from studies.ingredients.figure import figure_png
from studies.ingredients.ingredients import CANDIDATES, INGREDIENTS, PLACES
from studies.ingredients.table import Run, chosen_table, table
from studies.ingredients.training import train

from emprune.atomic import atomic_write
from emprune_lab.cli import exit_code
from emprune_lab.data import Split
from emprune_lab.records.provenance import git_commit

FOLDER = Path(__file__).parent
POLICIES = ("random", "emp")
SEEDS = {"validation": (300, 301, 302, 303), "test": tuple(range(8))}


@dataclass(frozen=True)
class Options:
    """Ingredients beside dynamic random and EMP, at equal samples through backward."""

    what: tyro.conf.Positional[Literal["choose", "report", "tables"]] = "tables"
    """Candidates on the validation split; what is reported, on the test split; or tables and figure alone."""
    place: Literal["fashion-mnist", "fashion-mnist-noise", "digits-noise", "cifar100"] = "fashion-mnist"
    ingredients: tuple[str, ...] = ()
    """Some of them; none: all."""
    seeds: tuple[int, ...] = ()
    """None: 300 to 303 on the validation split, 0 to 7 on the test split."""
    out: Path = FOLDER
    """Folder of runs.json; runs in there are not trained again."""


@dataclass(frozen=True)
class Cell:
    """A run's identity; a run has these names and more."""

    place: str
    split: Split
    policy: str
    ingredient: str
    seed: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0; 2 for bad usage; 130 when stopped, with the finished runs kept; 1 for other named errors."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = tyro.cli(Options, prog="python -m studies.ingredients", args=arguments)
    torch.set_num_threads(1)
    console = Console(width=None if sys.stdout.isatty() else 120)
    return exit_code(lambda: _work(options, console), f"python -m studies.ingredients {shlex.join(arguments)}")


def _work(options: Options, console: Console) -> int:
    path = options.out / "runs.json"
    options.out.mkdir(parents=True, exist_ok=True)
    runs: list[Run] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    done = {_cell(run) for run in runs}
    for cell in _asked(options):
        if cell in done:
            continue
        known = CANDIDATES if cell.split == "validation" else INGREDIENTS
        found = train(PLACES[cell.place], cell.policy, known[cell.ingredient], cell.seed, cell.split)
        runs.append({**vars(cell), **found, "commit": git_commit()[:7]})
        write(path, runs)
        console.print(f"{' '.join(map(str, vars(cell).values()))}: {found['value']:.4f}", highlight=False)
    if runs:
        (options.out / "table.md").write_text(chosen_table(runs) + "\n" + table(runs), encoding="utf-8")
        (options.out / "ingredients.png").write_bytes(figure_png(runs))
    return 0


def write(path: Path, runs: Sequence[Run]) -> None:
    """One line a run; the old file stays until the new one is whole."""
    text = "[\n" + ",\n".join(json.dumps(run) for run in runs) + "\n]\n"
    atomic_write(path, lambda new: new.write_text(text, encoding="utf-8"))


def _cell(run: Run) -> Cell:
    return Cell(**{name: run[name] for name in Cell.__dataclass_fields__})


def _asked(options: Options) -> Iterator[Cell]:
    if options.what == "tables":
        return
    split: Split = "validation" if options.what == "choose" else "test"
    names = options.ingredients or tuple(CANDIDATES if split == "validation" else INGREDIENTS)
    for seed in options.seeds or SEEDS[split]:
        for name in names:
            for policy in POLICIES:
                yield Cell(options.place, split, policy, name, seed)
        if split == "test" and "none" in names:
            for reference in ("short", "rs2"):
                yield Cell(options.place, split, reference, "none", seed)


if __name__ == "__main__":
    sys.exit(main())
