"""Statements that Ctrl-C cannot come between."""

from __future__ import annotations

import threading
from collections.abc import Callable


def uninterrupted(task: Callable[[], None]) -> None:
    """Run ``task`` to its end, and only then let Ctrl-C or a dead worker's signal be raised.

    Such exceptions come up in the main thread, between any two of its statements; hence another thread.
    """
    failures: list[BaseException] = []

    def run() -> None:
        try:
            task()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    try:
        thread.start()
        thread.join()
    except BaseException:
        if thread.ident is not None:
            thread.join()
        raise
    if failures:
        raise failures[0]
