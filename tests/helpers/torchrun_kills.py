"""Examples under torchrun: killed for real, with the workers, after the first checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def kill_family(process: subprocess.Popen[str]) -> None:
    """Kill a process and all that it started; torchrun puts its workers into sessions of their own."""
    for pid in _family(process.pid):
        os.kill(pid, signal.SIGKILL)


def kill_after_a_checkpoint(start: Callable[[Path], subprocess.Popen[str]], folder: Path, seconds: float) -> None:
    """Start a run, and kill it at once after its first checkpoint, which must come within so many seconds."""
    process = start(folder)
    try:
        until = time.monotonic() + seconds
        while not (folder / "checkpoint.pt").is_file():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.005)
    finally:
        kill_family(process)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in _family(int(child)))]
