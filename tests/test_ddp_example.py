"""The distributed example under torchrun: killed for real and resumed, it ends where it would have."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "ddp_fashion_mnist.py"


def command(folder, processes):
    return [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), str(EXAMPLE),
        "--data", "digits", "--epochs", "12", "--save-every", "4", "--out", str(folder),
    ]  # fmt: skip


def start(folder, processes):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command(folder, processes), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def family(pid):
    """A process and all that it started; torchrun puts its workers into sessions of their own."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in family(int(child)))]


def finish(process):
    """What the run printed at its end; not its exit code, since gloo's threads have aborted now and then."""
    printed, errors = process.communicate(timeout=200)
    lines = [line for line in printed.splitlines() if line.startswith(("test accuracy", "weights"))]
    assert len(lines) == 2, errors
    return lines


def test_killed_and_resumed_ends_with_the_same_weights(tmp_path):
    whole = finish(start(tmp_path / "whole", 2))
    process = start(tmp_path / "parts", 2)
    try:
        until = time.monotonic() + 120
        while not (tmp_path / "parts" / "checkpoint.pt").is_file():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.005)
    finally:
        for pid in family(process.pid):
            os.kill(pid, signal.SIGKILL)
    process.communicate()
    assert finish(start(tmp_path / "parts", 2)) == whole
