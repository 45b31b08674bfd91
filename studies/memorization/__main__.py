"""The study's command: train, summarise, write."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from rich.console import Console
from studies.memorization.figures import correlations_figure, pruned_figure
from studies.memorization.study import STUDIES, Study, conditions
from studies.memorization.summary import summarise
from studies.memorization.tables import tables

from emprune_lab.cli import exit_code
from emprune_lab.records.provenance import device_name, git_commit, versions
from emprune_lab.report.style import png

MODULE = "studies.memorization"


@dataclass(frozen=True)
class Options:
    """Estimate what is memorised by training on random subsets; correlate it with loss, entropy and L + beta·H."""

    data: tyro.conf.Positional[Literal["digits", "fashion-mnist"]]
    data_dir: str | None = None
    """Folder with the data set's files; else EMPRUNE_DATA, else where Debian installs them."""
    out: Path = Path("runs/memorization")
    """Folder of models and results; models that lie there are not trained again."""
    threads: int = 1
    """Threads of the process; results repeat to the last digit for the same number on the same machine."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or as :func:`emprune_lab.cli.exit_code`; when stopped, the finished models are kept."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = tyro.cli(Options, prog=f"python -m {MODULE}", args=arguments)
    torch.set_num_threads(options.threads)
    console = Console(width=None if sys.stdout.isatty() else 120)

    def work() -> int:
        for path in publish(STUDIES[options.data], options.out / options.data, options.data_dir):
            console.print(str(path), highlight=False, soft_wrap=True)
        return 0

    return exit_code(work, f"python -m {MODULE} {shlex.join(arguments)}")


def publish(study: Study, folder: Path, data_dir: str | None = None) -> list[Path]:
    """Train what the folder lacks and write its memorization.json, tables and figures; returns their paths."""
    numbers = rounded([summarise(condition) for condition in conditions(study, folder / "models", data_dir)])
    document = {
        "schema_version": 2,
        "command": f"python -m {MODULE} {study.setup.data}",
        "study": dataclasses.asdict(study),
        "summarised_by": {"git_commit": git_commit(), "device": device_name("cpu"), "versions": versions()},
        "conditions": numbers,
    }
    files = {
        "memorization.json": (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode(),
        "table.md": tables(study.setup.data, numbers).encode(),
        "correlations.png": png(correlations_figure(numbers)),
        "pruned.png": png(pruned_figure(numbers)),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def rounded(value: Any) -> Any:
    """JSON values with floats of four digits after the point, and None for what is not finite.

    >>> rounded({"a": [0.123456, float("nan")], "b": 7})
    {'a': [0.1235, None], 'b': 7}
    """
    return json.loads(
        json.dumps(value), parse_float=lambda text: round(float(text), 4), parse_constant=lambda name: None
    )


if __name__ == "__main__":
    sys.exit(main())
