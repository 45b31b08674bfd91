"""Statements that neither Ctrl-C nor a signal's handler nor another thread comes between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Exclusive:
    """A lock; a copy of an object that holds one has a lock of its own."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Exclusive], tuple[()]]:
        return Exclusive, ()

    def uninterrupted(self, task: Callable[[], T]) -> T:
        """As :func:`uninterrupted`, one task at a time.

        The lock is taken in the task's own thread. So a signal's handler that wants it too, in the middle of a task of
        the thread that it interrupts, waits for a thread that goes on.
        """

        def alone() -> T:
            with self.lock:
                return task()

        return uninterrupted(alone)


def uninterrupted(task: Callable[[], T]) -> T:
    """Run ``task`` to its end, and only then let Ctrl-C or a dead worker's signal be raised.

    Such exceptions come up in the main thread, between any two of its statements; hence another thread.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(task())
        except BaseException as error:
            failures.append(error)

    # A daemon: starting any other takes a lock of the interpreter's that an interrupted thread may hold.
    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
        thread.join()
    except BaseException:
        if thread.ident is not None:
            thread.join()
        raise
    if failures:
        raise failures[0]
    return results[0]
