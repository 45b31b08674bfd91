"""When runs stop: at a signal, at the deadline, or since another one failed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emprune_lab.cli import exit_code
from emprune_lab.commandline.stop import Stop
from emprune_lab.runs.compare import Comparison, grid
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import recipe_for


def test_a_deadline_stops_and_is_not_taken_for_a_signal():
    assert not Stop()()
    stop = Stop(minutes=0.05 / 60)
    assert not stop()
    time.sleep(0.06)
    assert stop()
    assert not stop.asked


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_ends(number):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    said = []
    stop = Stop()
    with stop.on_signals(said.append):
        os.kill(os.getpid(), number)
        assert stop()
        assert stop.asked
        assert len(said) == 1
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_ctrl_c_at_any_other_time_ends_without_traceback(capsys):
    def work():
        raise KeyboardInterrupt

    assert exit_code(work, "emprune [some] --command") == 130
    printed = capsys.readouterr()
    assert printed.err == "Stopped. What was saved is kept; go on with:\n  emprune [some] --command\n"
    assert not printed.out


def test_where_one_run_fails_the_others_save_their_state_and_end(tmp_path):
    template = RunSpec("digits", "full", 0.0, 0, recipe_for("digits").changed(epochs=5_000))
    specs = grid(template, ["random"], [0.7], range(4), [0.0])
    told = []

    def fail(event):
        told.append(event)
        raise RuntimeError("in one of them")

    with pytest.raises(RuntimeError, match="in one of them"):
        Comparison(specs, tmp_path).run_missing(fail, jobs=2)
    assert told[0].progress.step > 0
    assert list(tmp_path.glob("runs/*/checkpoint.pt"))
    assert not list(tmp_path.glob("runs/*/result.json"))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="processes are found in /proc")
def test_the_processes_of_a_comparison_that_was_killed_end(tmp_path):
    options = ["--policies", "random", "--prune-rates", "0.7", "--seeds", "2", "--epochs", "50000", "--jobs", "2"]
    command = [sys.executable, "-m", "emprune", "compare", *options, "--out", str(tmp_path)]
    comparison = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{comparison.pid}/task/{comparison.pid}/children")
    try:
        wait_until(lambda: len(children.read_text().split()) >= 3)  # two, and the one that cleans up after them
        workers = children.read_text().split()
        time.sleep(2)  # imports take longer
    finally:
        comparison.kill()
        comparison.wait()
    wait_until(lambda: not any(is_running(worker) for worker in workers))


def is_running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(reached, seconds=60):
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)
