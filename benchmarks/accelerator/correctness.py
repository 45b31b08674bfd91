"""The first part: tests of the library and the laboratory's modes on the device."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from accelerator.files import Record

ROOT = Path(__file__).parents[2]
TESTS = (
    ("-m", "cuda", "tests/device", "tests/lab/test_steps.py"),
    ("tests/scoring/test_triton_loss.py",),
)
"""Arguments of pytest, one call after another."""
REHEARSAL = (("-k", "cpu and masked", "tests/device/test_device_classification.py"),)
VARIABLE = "EMPRUNE_ACCELERATOR_TESTS"
RUNNING = "running"
DONE = ("passed", "skipped")
_COULD_NOT_RUN = (2, 3, 4, 5)
_COMPLETE = "complete"
"""Of a call of pytest: nothing of it is left, and it need not even collect its tests again."""
_TAIL = 2000


def check(path: Path, calls: Sequence[Sequence[str]], seconds: float) -> dict[str, int]:
    """Run what has not passed yet, for so long at most; how many tests had which outcome."""
    end, record = time.monotonic() + seconds, Record(path)
    record.entries = {name: outcome for name, outcome in record.entries.items() if outcome in (*DONE, _COMPLETE)}
    record.save()
    for arguments in calls:
        if _name(arguments) in record:
            continue
        # A test that breaks the process is recorded, and the others go on in another process.
        while _breaks(path, arguments, end - time.monotonic()):
            pass
    outcomes = [outcome for outcome in Record(path).entries.values() if outcome != _COMPLETE]
    return dict(Counter(outcome if outcome in DONE else "failed" for outcome in outcomes))


def _breaks(path: Path, arguments: Sequence[str], seconds: float) -> bool:
    """Run pytest; whether its process ended in mid-test."""
    if seconds <= 0:
        return False
    options = ["-q", "-p", "no:cacheprovider", "-p", "accelerator.recorder"]
    # Another version of torch may deprecate things; what is asked here is whether results are right.
    command = [sys.executable, "-m", "pytest", *options, "-W", "default", *arguments]
    environment = os.environ | {VARIABLE: str(path)}
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, timeout=seconds, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        _record_running(path, "not finished in the part's time")
        return False
    if done.returncode in _COULD_NOT_RUN:
        said = (done.stdout + done.stderr)[-_TAIL:]
        failure = {"phase": "collect", "message": f"pytest ended with {done.returncode}", "tail": said}
        Record(path).put(_name(arguments), failure)
    elif done.returncode == 0:
        Record(path).put(_name(arguments), _COMPLETE)
    return _record_running(path, f"the process ended with code {done.returncode}")


def _name(arguments: Sequence[str]) -> str:
    return f"pytest {' '.join(arguments)}"


def _record_running(path: Path, message: str) -> bool:
    """Record the test that was running, if any, as failed; whether there was one."""
    record = Record(path)
    running = [name for name, outcome in record.entries.items() if outcome == RUNNING]
    for name in running:
        record.put(name, {"phase": "call", "message": message, "tail": ""})
    return bool(running)
