"""Processes that train runs, one at a time each: one that fails or is killed leaves the others alone."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection, resource_tracker
from typing import Any

from emprune.errors import ArgumentError
from emprune_lab.runs.event import Event
from emprune_lab.specs.spec import Spec

Work = Callable[[Spec, Callable[[Event], None], Callable[[], bool]], Event]
"""Trains a run: tells its progress, asks whether to stop, and returns the event of its end. It can be pickled."""

NOT_GUARDED = 78
"""Exit code of a process that, importing the script that starts it, came to the call that would start it once more."""

_PAUSE = 0.2
"""Seconds between two questions whether to stop."""


class UnguardedError(ArgumentError):
    """The running script, imported by the processes that it starts, starts processes."""

    def __init__(self) -> None:
        super().__init__(
            "jobs", "more than 1", "1 in a script that calls this at its top level",
            'Other processes import the script to find its functions: put the call under if __name__ == "__main__":.',
        )  # fmt: skip

    def __reduce__(self) -> tuple[type[UnguardedError], tuple[()]]:
        """It has no arguments."""
        return type(self), ()


def work_in_processes(
    specs: Sequence[Spec], work: Work, jobs: int, on_event: Callable[[Event], None], should_stop: Callable[[], bool]
) -> None:
    """Train runs in ``jobs`` processes, until ``should_stop`` says so or all have ended.

    Raises:
        UnguardedError: the script that is running cannot be imported by other processes.

    Args:
        on_event: called in this process. Where it raises, runs save their state and end, and so does this function.
        should_stop: asked in this process, several times a second.
    """
    waiting, workers = deque(specs), [_Worker(work) for _ in range(min(jobs, len(specs)))]
    try:
        _hand_out(workers, waiting, on_event, should_stop)
    except KeyboardInterrupt:  # not to wait for anything
        raise
    except BaseException:
        _end(workers)
        raise
    else:
        _end(workers)
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()


def _hand_out(
    workers: list[_Worker], waiting: deque[Spec], on_event: Callable[[Event], None], should_stop: Callable[[], bool]
) -> None:
    stopping = False
    while True:
        if not stopping and should_stop():
            stopping = True
            for worker in workers:
                worker.send(None)
        for position, worker in enumerate(workers):
            if worker.spec is None and waiting and not stopping:
                if not worker.process.is_alive():
                    workers[position] = worker = worker.replaced()
                worker.spec = waiting.popleft()
                worker.send(worker.spec)
        busy = [worker for worker in workers if worker.spec is not None]
        if not busy:
            return
        connection.wait([worker.pipe for worker in busy], _PAUSE)
        for worker in busy:
            if (event := worker.event()) is not None:
                if event.progress is None:
                    worker.spec = None
                on_event(event)


class _Worker:
    """A process, the pipe to it, and the run that it trains, if any.

    The pipe is its own: what several processes share, a queue's lock say, one that is killed may hold for ever.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work))
        with _without_interrupts():
            self.process.start()
        theirs.close()
        self.spec: Spec | None = None

    def replaced(self) -> _Worker:
        """Another one in its place."""
        self.pipe.close()
        return _Worker(self._work)

    def send(self, spec: Spec | None) -> None:
        """Have it train a run; None: stop and end. That its process is gone shows when it is listened to."""
        with contextlib.suppress(OSError):
            self.pipe.send(spec)

    def event(self) -> Event | None:
        """What it has to say of its run, if anything."""
        if self.spec is None:
            return None
        alive = self.process.is_alive()
        try:
            if self.pipe.poll():
                event: Event = self.pipe.recv()
                return event
        except (EOFError, OSError):
            alive = False
        return None if alive else Event(self.spec, error=self._last_words())

    def _last_words(self) -> str:
        self.process.join()
        code = self.process.exitcode or 0
        if code == NOT_GUARDED:
            raise UnguardedError
        how = (
            f"was killed by signal {-code}, for want of memory perhaps" if code < 0 else f"ended with exit code {code}"
        )
        return f"its process {how}; the same command goes on from its last checkpoint"

    def finish(self) -> None:
        """Have it save its state and end, and wait for that; what it says meanwhile is not heard."""
        self.send(None)
        while self.process.is_alive():
            with contextlib.suppress(EOFError, OSError):
                while self.pipe.poll(_PAUSE):
                    self.pipe.recv()
            self.process.join(_PAUSE)


def _end(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.send(None)
    for worker in workers:
        worker.finish()


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes started inside do not see Ctrl-C, from their first instruction on; here it comes afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it unblocks the signal where it starts
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _serve(pipe: connection.Connection, work: Work) -> None:
    """What a process does: train what it is sent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What was started by spawn would start all its own processes so: those of a loader, anew in each epoch, as the
    # user's script does not.
    multiprocessing.set_start_method(None, force=True)
    specs: queue.SimpleQueue[Spec | None] = queue.SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(pipe, specs, stop), daemon=True).start()
    while (spec := specs.get()) is not None:
        pipe.send(work(spec, pipe.send, stop.is_set))


def _listen(pipe: Any, specs: queue.SimpleQueue[Spec | None], stop: threading.Event) -> None:
    try:
        while (spec := pipe.recv()) is not None:
            specs.put(spec)
    except (EOFError, OSError):
        os._exit(1)  # the parent was killed: this one would train on beside the next call's, then wait for ever
    stop.set()
    specs.put(None)
