"""The study's command: train what runs.json lacks, then write the table."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from rich.console import Console
from studies.tasks.table import POLICIES, table
from studies.tasks.training import TASKS, Settings, train

from emprune_lab.cli import exit_code
from emprune_lab.records.provenance import device_name, git_commit, versions

MODULE = "studies.tasks"


@dataclass(frozen=True)
class Options:
    """EMP, dynamic random, fewer epochs and all data on canvases of digits, for two tasks."""

    out: Path = Path("runs/tasks")
    """Folder of runs.json and table.md; runs in there are not trained again."""
    seeds: tuple[int, ...] = (0, 1, 2)
    settings: Settings = dataclasses.field(default_factory=Settings)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0; 2 for bad usage; 130 when stopped, with the finished runs kept; 1 for other named errors."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = tyro.cli(Options, prog=f"python -m {MODULE}", args=arguments)
    command = f"python -m {MODULE} {shlex.join(arguments)}".strip()
    torch.set_num_threads(1)
    console = Console(width=None if sys.stdout.isatty() else 120)

    def work() -> int:
        runs = complete(options, command, console)
        (options.out / "table.md").write_text(table(runs))
        console.print(str(options.out / "table.md"), highlight=False, soft_wrap=True)
        return 0

    return exit_code(work, command)


def complete(options: Options, command: str, console: Console) -> list[dict[str, Any]]:
    """Train the runs that the folder lacks, one after the other, each written when it ends; returns all of them."""
    path = options.out / "runs.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    runs: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    settings = dataclasses.asdict(options.settings)
    done = {(run["task"], run["policy"], run["seed"]) for run in runs if run["settings"] == settings}
    for seed in options.seeds:
        for task in TASKS:
            for policy in POLICIES:
                if (task, policy, seed) in done:
                    continue
                found = train(task, policy, seed, options.settings)
                origin = {"device": device_name("cpu"), "versions": versions(), "commit": git_commit()}
                runs.append({**found, "settings": settings, **origin, "command": command})
                new = path.with_suffix(".new")
                new.write_text(json.dumps(runs, indent=1) + "\n")
                new.replace(path)
                console.print(f"{task} {policy} seed {seed}: {found['metric']} {found['value']:.4f}", highlight=False)
    return runs


if __name__ == "__main__":
    sys.exit(main())
