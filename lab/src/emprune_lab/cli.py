"""The command line: emprune compare | train | headline | report | methods."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import tyro
from rich.console import Console

from emprune.errors import ArgumentError, EmpruneError
from emprune_lab.commandline.commands import Compare, Methods, Report, Train
from emprune_lab.commandline.headline import Headline
from emprune_lab.runs.runner import Interrupted

USAGE_ERROR, FAILURE, STOPPED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``emprune``.

    Returns:
        0; 2 for bad usage; 130 when stopped, with the state saved; 1 for other errors that emprune names.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command = f"emprune {shlex.join(arguments)}"
    chosen = tyro.cli(
        Annotated[Compare, tyro.conf.subcommand("compare")]
        | Annotated[Train, tyro.conf.subcommand("train")]
        | Annotated[Headline, tyro.conf.subcommand("headline")]
        | Annotated[Report, tyro.conf.subcommand("report")]
        | Annotated[Methods, tyro.conf.subcommand("methods")],
        prog="emprune", description="Dynamic data pruning: compare policies on real data.", args=arguments,
    )  # fmt: skip
    as_json = getattr(chosen, "json", False) or getattr(getattr(chosen, "setting", None), "json", False)
    # Tables need room, also where the output goes to a file and rich would assume 80 columns.
    console = Console(stderr=as_json, width=None if sys.stdout.isatty() else 120)

    def work() -> int:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ArgumentError(
                "WORLD_SIZE", os.environ["WORLD_SIZE"], "1: the command trains each run in one process",
                "--jobs says how many runs train at the same time; for one run on many processes see examples/.",
            )  # fmt: skip
        return int(chosen(console, command))

    try:
        return exit_code(work, console)
    except Interrupted as stopped:
        console.print(f"Stopped: {stopped}. Everything is saved; go on with:\n  {command}", highlight=False)
        return STOPPED


def exit_code(work: Callable[[], int], console: Console) -> int:
    """What ``work`` returns; where emprune names an error, print it and return 2 for bad usage, else 1."""
    try:
        return work()
    except EmpruneError as error:
        console.print(f"[bold red]error:[/] {error}", highlight=False)
        return USAGE_ERROR if isinstance(error, ArgumentError) else FAILURE
