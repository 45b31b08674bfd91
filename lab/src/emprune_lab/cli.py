"""The command line: emprune compare | train | headline | report | inspect | methods."""

from __future__ import annotations

import contextlib
import importlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

import tyro
from rich.console import Console
from rich.markup import escape

import emprune
import emprune_lab
from emprune.errors import ArgumentError, DataError, EmpruneError
from emprune_lab.commandline.commands import Compare, Methods, Report, Train
from emprune_lab.commandline.headline import Headline
from emprune_lab.commandline.inspect import Inspect
from emprune_lab.runs.interrupted import Interrupted

USAGE_ERROR, FAILURE, STOPPED, NOT_READ = 2, 1, 130, 141
"""Exit codes; a shell gives the last two to a process that Ctrl-C or a closed pipe ended."""
_DESCRIPTION = "Dynamic data pruning: compare policies on real data. emprune --version says which version this is."


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """As for every other print: :func:`exit_code` knows what to do."""
        raise BrokenPipeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``emprune``; returns as :func:`exit_code`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command = f"emprune {shlex.join(arguments)}"
    return exit_code(lambda: _work(arguments, command), command)


def _work(arguments: Sequence[str], command: str) -> int:
    if arguments == ["--version"]:
        print(f"emprune {emprune.__version__}, emprune-lab {emprune_lab.__version__}")
        return 0
    with _ending_at_once(command):
        chosen = tyro.cli(
            Compare | Train | Headline | Report | Inspect | Methods,
            prog="emprune",
            description=_DESCRIPTION,
            args=arguments,
        )
        as_json = getattr(chosen, "json", False) or getattr(getattr(chosen, "setting", None), "json", False)
        # Tables need room, also where the output goes to a file and rich would assume 80 columns.
        # No emoji: rich imports their table at the first print, and a signal that prints could come in the middle.
        console = _Console(stderr=as_json, width=None if sys.stdout.isatty() else 120, emoji=False)
        if (world_size := os.environ.get("WORLD_SIZE", "1")) != "1":
            raise ArgumentError(
                "WORLD_SIZE", world_size, "1: the command trains each run in one process",
                "--jobs says how many runs train at the same time; for one run on many processes see examples/.",
            )  # fmt: skip
        if said := chosen.announced():
            console.print(said, highlight=False, markup=False, soft_wrap=True)
            console.file.flush()
        importlib.import_module("emprune_lab.commandline.work")  # torch, which takes seconds
    return chosen(console, command)


@contextlib.contextmanager
def _ending_at_once(command: str) -> Iterator[None]:
    """Inside, Ctrl-C ends the process: nothing is to be saved yet, and an import would take it for its own error."""

    def end(number: int, frame: object) -> None:
        os.write(2, f"{_stopped()}; go on with:\n  {command}\n".encode())
        os._exit(STOPPED)

    if threading.current_thread() is not threading.main_thread():  # others may not say what a signal does
        yield
        return
    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def exit_code(work: Callable[[], int], command: str) -> int:
    """Do a command's work; what it could not do is said on standard error, in one sentence.

    Args:
        command: what goes on where the work was stopped.

    Returns:
        What ``work`` returns; 2 for bad usage, and for data or results that are missing or not what they should be; 130
        when stopped, with what is finished saved; 141 where nobody reads what is printed any more; 1 for other errors
        that emprune names, and for files that cannot be read or written.
    """
    try:
        try:
            code = _without_traceback(work, command)
        finally:
            sys.stdout.flush()  # what is still to be written may find its pipe closed too
    except BrokenPipeError:
        _to_nowhere()
        return NOT_READ
    return code


def _without_traceback(work: Callable[[], int], command: str) -> int:
    said = _Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        with _heard():
            return work()
    except (Interrupted, KeyboardInterrupt) as stopped:
        said.print(escape(f"{_stopped(stopped)}; go on with:\n  {command}"))
        return STOPPED
    except BrokenPipeError:
        raise
    except (EmpruneError, OSError) as error:
        said.print(f"[bold red]error:[/] {escape(str(error))}")
        return USAGE_ERROR if isinstance(error, ArgumentError | DataError) else FAILURE


@contextlib.contextmanager
def _heard() -> Iterator[None]:
    """Inside, Ctrl-C stops the work also where it came in a destructor, after whose errors Python goes on."""
    heard = False

    def interrupt(number: int, frame: object) -> None:
        nonlocal heard
        heard = True
        raise KeyboardInterrupt

    before, is_main = signal.getsignal(signal.SIGINT), threading.current_thread() is threading.main_thread()
    if before is not signal.default_int_handler or not is_main:  # ignored, another's, or not ours to say
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt


def _stopped(by: BaseException | None = None) -> str:
    return f"Stopped: {by}. {by.saved}" if isinstance(by, Interrupted) else "Stopped. What was saved is kept"


def _to_nowhere() -> None:
    """Let the interpreter's last flush of a closed pipe succeed."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
