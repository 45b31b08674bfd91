"""The example of a stream under torchrun: killed for real and resumed, it ends where it would have."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from torchrun_kills import kill_after_a_checkpoint, kill_family

pytest.importorskip("torchdata")
pytest.importorskip("datasets")

EXAMPLE = Path(__file__).parents[2] / "examples" / "stream_fashion_mnist.py"


def start(folder: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(EXAMPLE),
        "--data", "digits", "--passes", "5", "--save-every", "2", "--out", str(folder),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finish(folder: Path) -> list[str]:
    """The lines that the run printed."""
    process = start(folder)
    try:
        printed, errors = process.communicate(timeout=300)
    finally:  # pytest would wait for what it leaves behind
        if process.poll() is None:
            kill_family(process)
    assert process.returncode == 0, errors
    return printed.splitlines()


def test_two_processes_killed_and_resumed_end_with_the_same_weights(tmp_path: Path) -> None:
    kill_after_a_checkpoint(start, tmp_path / "killed", 200)
    first, *lines = finish(tmp_path / "killed")
    assert (step := re.fullmatch(r"going on after step (\d+), in pass \d+", first))
    assert 0 < int(step[1]) < 25
    whole = finish(tmp_path / "whole")
    assert lines == whole
    trained, came = map(int, re.search(r"(\d+) of (\d+) samples", whole[0]).groups())
    assert came == 5 * 1197
    assert abs(trained - 0.3 * came) < 2  # the ranks' parts of an odd number differ by one a pass
