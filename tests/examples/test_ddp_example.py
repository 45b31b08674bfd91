"""The distributed example under torchrun: killed for real and resumed, it ends where it would have."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from torchrun_kills import kill_after_a_checkpoint

EXAMPLE = Path(__file__).parents[2] / "examples" / "ddp_fashion_mnist.py"


def start(folder: Path, processes: int) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), str(EXAMPLE),
        "--data", "digits", "--epochs", "40", "--save-every", "4", "--out", str(folder),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finish(process: subprocess.Popen[str]) -> list[str]:
    """The lines that the run printed."""
    printed, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    return printed.splitlines()


def numbers(line: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+\.?\d*", line)]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes leave that are killed at once after their first checkpoint."""
    folder = tmp_path_factory.mktemp("killed")
    kill_after_a_checkpoint(lambda out: start(out, 2), folder, 120)
    return folder


def resumed(killed: Path, folder: Path, processes: int) -> list[str]:
    """The last two lines of a run that goes on in a copy of the folder; it must say that it does."""
    shutil.copytree(killed, folder, dirs_exist_ok=True)
    first, *lines = finish(start(folder, processes))
    assert re.fullmatch(r"going on after step [1-9]\d*, in epoch \d+", first)
    return lines


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The lines of a run that nobody killed."""
    lines = finish(start(tmp_path_factory.mktemp("whole"), 2))
    assert [line.split()[0] for line in lines] == ["test", "weights"]
    return lines


def test_killed_and_resumed_ends_with_the_same_weights(whole: list[str], killed: Path, tmp_path: Path) -> None:
    assert resumed(killed, tmp_path, 2) == whole


def test_one_process_goes_on_with_the_same_steps_and_samples(whole: list[str], killed: Path, tmp_path: Path) -> None:
    """Not to the same last digit: two processes repeat a sample in an epoch's odd last batch, and one does not."""
    (accuracy, *counts), (weights,) = map(numbers, resumed(killed, tmp_path, 1))
    (expected_accuracy, *expected_counts), (expected_weights,) = map(numbers, whole)
    assert counts == expected_counts
    assert weights == pytest.approx(expected_weights, rel=5e-3)
    assert accuracy == pytest.approx(expected_accuracy, abs=3)
