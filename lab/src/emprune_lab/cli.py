"""The command line: emprune compare | train | headline | report | methods."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence

import tyro
from rich.console import Console
from rich.markup import escape

from emprune.errors import ArgumentError, EmpruneError
from emprune_lab.commandline.commands import Compare, Report, Train
from emprune_lab.commandline.headline import Headline
from emprune_lab.commandline.methods import Methods
from emprune_lab.runs.runner import Interrupted

USAGE_ERROR, FAILURE, STOPPED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``emprune``; returns as :func:`exit_code`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command = f"emprune {shlex.join(arguments)}"

    def work() -> int:
        chosen = tyro.cli(
            Compare | Train | Headline | Report | Methods,
            prog="emprune", description="Dynamic data pruning: compare policies on real data.", args=arguments,
        )  # fmt: skip
        as_json = getattr(chosen, "json", False) or getattr(getattr(chosen, "setting", None), "json", False)
        # Tables need room, also where the output goes to a file and rich would assume 80 columns.
        # No emoji: rich imports their table at the first print, and a signal that prints could come in the middle.
        console = Console(stderr=as_json, width=None if sys.stdout.isatty() else 120, emoji=False)
        if (world_size := os.environ.get("WORLD_SIZE", "1")) != "1":
            raise ArgumentError(
                "WORLD_SIZE", world_size, "1: the command trains each run in one process",
                "--jobs says how many runs train at the same time; for one run on many processes see examples/.",
            )  # fmt: skip
        return int(chosen(console, command))

    return exit_code(work, command)


def exit_code(work: Callable[[], int], command: str) -> int:
    """Do a command's work; what it could not do is said on standard error, in one sentence.

    Args:
        command: what goes on where the work was stopped.

    Returns:
        What ``work`` returns; 2 for bad usage; 130 when stopped, with what is finished saved; 1 for other errors that
        emprune names, and for files that cannot be read or written.
    """
    said = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        return work()
    except (Interrupted, KeyboardInterrupt) as stopped:
        state = f": {stopped}. Everything is saved" if isinstance(stopped, Interrupted) else ". What was saved is kept"
        said.print(escape(f"Stopped{state}; go on with:\n  {command}"))
        return STOPPED
    except BrokenPipeError:  # nobody reads what is printed any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or else the interpreter's last flush fails
        return 0
    except (EmpruneError, OSError) as error:
        said.print(f"[bold red]error:[/] {escape(str(error))}")
        return USAGE_ERROR if isinstance(error, ArgumentError) else FAILURE
