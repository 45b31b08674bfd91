"""A task that Ctrl-C does not come between, and whose errors are the caller's."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from emprune.epoch.uninterrupted import uninterrupted


def test_ctrl_c_waits_for_the_end() -> None:
    before, done = signal.signal(signal.SIGINT, signal.default_int_handler), []

    def task() -> None:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.2)
        done.append(True)

    try:
        with pytest.raises(KeyboardInterrupt):
            uninterrupted(task)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == [True]


def test_an_error_of_the_task_is_raised() -> None:
    def task() -> None:
        raise ValueError("of the task")

    with pytest.raises(ValueError, match="of the task"):
        uninterrupted(task)
