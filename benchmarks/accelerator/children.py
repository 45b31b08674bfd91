"""Calls in processes of their own: a crash, a hang or a broken CUDA context stays there.

They are forked from a server that has imported torch and touched no device, so that starting one takes no second.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

_TAIL = 3000
_started: dict[str, Any] = {}


def start_by(method: str) -> None:
    """How processes start from now on: "forkserver", or "spawn" where a forked one could not use the device."""
    _started["context"] = multiprocessing.get_context(method)
    _started["context"].set_forkserver_preload(["emprune_lab.runs.runner"])


def barrier(count: int, seconds: float) -> Any:
    """At which so many children wait for one another."""
    return _started["context"].Barrier(count, timeout=seconds)


@dataclass(frozen=True)
class Outcome:
    """What a call returned, or else why it did not; and its seconds."""

    value: Any = None
    error: str | None = None
    seconds: float = 0.0


class Child:
    """A call that runs."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.connection: Connection
        self.connection, send = _started["context"].Pipe(duplex=False)
        self._process = _started["context"].Process(target=_call, args=(send, function, arguments), daemon=True)
        self._began = time.monotonic()
        self._process.start()
        send.close()

    def finish(self, seconds: float) -> Outcome:
        """Wait for it for so long at most, and end it."""
        value, error = None, f"not finished after {time.monotonic() - self._began + max(seconds, 0):.0f} s"
        try:
            if self.connection.poll(max(seconds, 0)):
                value, error = self.connection.recv()
        except EOFError:
            self._process.join(5)
            error = f"the process ended with code {self._process.exitcode}"
        except Exception as broken:  # what it sent cannot be read
            value, error = None, f"{type(broken).__name__}: {broken}"
        self._process.kill()
        self._process.join()
        return Outcome(value, error, time.monotonic() - self._began)


def call(function: Callable[..., Any], *arguments: Any, seconds: float) -> Outcome:
    """One call and its outcome."""
    return Child(function, *arguments).finish(seconds)


def first_done(children: Sequence[Child], seconds: float) -> list[Child]:
    """Those that have ended, after so many seconds at most."""
    ready = wait([child.connection for child in children], max(seconds, 0))
    return [child for child in children if child.connection in ready]


def _call(send: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    end_with_parent()
    try:
        send.send((function(*arguments), None))
    except BaseException as error:
        send.send((None, f"{type(error).__name__}: {error}\n{traceback.format_exc()[-_TAIL:]}"))


def end_with_parent() -> None:
    """End this process when its parent ends (the server ends with the main one): it would work beside the next call."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


start_by("forkserver")
