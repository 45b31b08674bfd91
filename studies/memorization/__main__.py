"""The study's command line."""

from __future__ import annotations

import dataclasses
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from rich.console import Console
from studies.memorization.publish import publish
from studies.memorization.study import SETUPS, Study, work_off

from emprune.errors import ArgumentError
from emprune_lab.cli import exit_code
from emprune_lab.commandline.options import Fractions

MODULE = "studies.memorization"


@dataclass(frozen=True)
class Memorization:
    """Estimate what is memorised by training on random subsets; correlate it with loss, entropy and L + beta·H."""

    data: str = "digits"
    """Data set: digits or fashion-mnist."""
    data_dir: str | None = None
    """Folder with its files; else EMPRUNE_DATA, else where Debian installs them."""
    models: int = 400
    """Subset models for each label noise."""
    subset: float = 0.7
    """Fraction of the training set that each of them is trained on."""
    seeds: int = 5
    """Ordinary runs of each kind."""
    label_noise: Fractions = (0.0, 0.2)
    """Fractions of wrong training labels, each a condition of its own."""
    prune_rates: Fractions = (0.7, 0.9)
    """Of the pruned runs."""
    epochs: int | None = None
    """Epochs of every model; else the study's for the data set. Likewise the next one."""
    train_size: int | None = None
    out: Path = Path("runs/memorization")
    """Folder of models and results; models that lie there are not trained again."""
    threads: int = 1
    """Threads of the process; results repeat to the last digit for the same number on the same machine."""

    def study(self) -> Study:
        """The settings, checked."""
        if self.data not in SETUPS:
            raise ArgumentError("data", self.data, f"one of {', '.join(SETUPS)}")
        given = {name: getattr(self, name) for name in ("epochs", "train_size")}
        setup = dataclasses.replace(SETUPS[self.data], **{k: v for k, v in given.items() if v is not None})
        return Study(
            self.data, setup, self.subset, self.models, self.seeds, self.label_noise,
            prune_rates=self.prune_rates, data_dir=self.data_dir,
        )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0; 2 for bad usage; 130 when stopped, with the finished models kept; 1 for other named errors."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command = f"python -m {MODULE} {shlex.join(arguments)}".strip()
    options = tyro.cli(Memorization, prog=f"python -m {MODULE}", args=arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)
    return exit_code(lambda: _carry_out(options, console, command), command)


def _carry_out(options: Memorization, console: Console, command: str) -> int:
    began = time.perf_counter()
    torch.set_num_threads(options.threads)
    study = options.study()
    conditions, origin = work_off(
        study, options.out, lambda done: console.print(f"{time.perf_counter() - began:7.0f} s  {done}")
    )
    for path in publish(study, conditions, options.out, command=command, origin=origin):
        console.print(str(path), highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
