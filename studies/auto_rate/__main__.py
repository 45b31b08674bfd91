"""The study's command: ``python -m studies.auto_rate train`` trains what is missing, ``table`` writes table.md."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import tyro
from studies.auto_rate.runs import train
from studies.auto_rate.table import table

from emprune_lab.cli import exit_code
from emprune_lab.records.results import load_results, save_results

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Options:
    """Train the study's runs, or write its table."""

    task: tyro.conf.Positional[Literal["train", "table"]]
    data: Literal["fashion-mnist", "digits"] = "fashion-mnist"
    seeds: int = 4
    data_dir: str | None = None
    """Folder with the data set's files; else EMPRUNE_DATA, else where Debian installs them."""
    out: Path = Path("runs/auto-rate")
    """Folder of the runs; what lies there is not trained again."""
    threads: int = 1


def carry_out(options: Options) -> int:
    """Do what is asked; results of a data set that was trained replace the committed ones of it."""
    committed = FOLDER / "results.json"
    results = load_results(committed) if committed.exists() else []
    if options.task == "train":
        torch.set_num_threads(options.threads)
        trained = train(options.data, range(options.seeds), options.out / options.data, options.data_dir)
        results = [result for result in results if result.data != options.data] + trained
        save_results(committed, results)
    (FOLDER / "table.md").write_text(table(results), encoding="utf-8")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or as :func:`emprune_lab.cli.exit_code`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = tyro.cli(Options, prog="python -m studies.auto_rate", args=arguments)
    return exit_code(lambda: carry_out(options), f"python -m studies.auto_rate {shlex.join(arguments)}")


if __name__ == "__main__":
    sys.exit(main())
