"""What goes wrong while the command works: it is told in a sentence, the rest goes on, the exit code says so."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from emprune_lab.cli import main
from emprune_lab.commandline.commands import Compare
from emprune_lab.commandline.options import Setting
from emprune_lab.records.results import load_results

MRPC = Path(__file__).parents[2] / "studies" / "language" / "mrpc"
SMALL = ["--data", "digits", "--epochs", "1", "--seeds", "1", "--jobs", "1", "--prune-rates", "0.5"]
COMMAND = [sys.executable, "-m", "emprune"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def test_a_run_that_fails_leaves_the_others_alone(tmp_path, capsys):
    damaged = Compare(setting=Setting(epochs=1), policies=("lfl",), prune_rates=(0.5,), seeds=1).specs()[0].run_id
    (tmp_path / "runs" / damaged).mkdir(parents=True)
    (tmp_path / "runs" / damaged / "checkpoint.pt").write_text("no checkpoint")
    arguments = [*SMALL, "--policies", "lfl,random", "--out", str(tmp_path), "--jobs", "2"]
    assert main(["compare", *arguments]) == 1
    printed = capsys.readouterr()
    assert f"[failed] lfl rate 0.5 seed 0: {tmp_path}/runs/{damaged}/checkpoint.pt is damaged" in printed.out
    assert "[1/2] random rate 0.5 seed 0: " in printed.out
    assert printed.err == f"error: 1 of 2 runs failed: {damaged}. The same command tries them again.\n"
    assert [run.policy for run in load_results(tmp_path)] == ["random"]
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize(("most", "code", "said"), [(2000, 2, "out is "), (6000, 1, "error: 2 of 2 runs failed")])
def test_a_disk_without_room(most, code, said, tmp_path):
    """A file may have so many bytes: less than the probe, or less than a run's arrays."""
    done = subprocess.run(
        [*COMMAND, "compare", *SMALL, "--policies", "random,emp", "--out", str(tmp_path / "out")],
        capture_output=True, text=True, env=ENVIRONMENT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "File too large" in (done.stdout if code == 1 else done.stderr)
    assert done.stdout.count("[failed]") == (2 if code == 1 else 0)
    assert "Traceback" not in done.stderr
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert left == []


def put_file(folder):
    folder.touch()
    return folder


def put_file_above(folder):
    folder.touch()
    return folder / "below"


def put_file_for_figures(folder):
    folder.mkdir()
    (folder / "figures").touch()
    return folder


def put_folder_for_the_table(folder):
    (folder / "table.md").mkdir(parents=True)
    return folder


def nowhere(folder):
    return Path("/proc/emprune/out")


@pytest.mark.parametrize("command", ["compare", "report"])
@pytest.mark.parametrize("put", [put_file, put_file_above, put_file_for_figures, put_folder_for_the_table, nowhere])
def test_a_folder_that_cannot_be_written_is_told_before_anything_is_done(put, command, tmp_path, capsys):
    out = put(tmp_path / "out")
    arguments = [*SMALL, "--policies", "random"] if command == "compare" else [str(MRPC)]
    assert main([command, *arguments, "--out", str(out)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: out is '{out}'; allowed: a folder")
    assert printed.err.count("\n") == 1
    assert len(printed.out.splitlines()) <= 1  # what will be done, and no run


def test_train_needs_its_folder_too(tmp_path, capsys):
    put_file(tmp_path / "out")
    assert main(["train", "--data", "digits", "--epochs", "1", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("error: out is ")


def test_a_folder_of_somebody_else(tmp_path):
    """In a process of its own, since root may write everywhere."""
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o500)
    code = (
        "import os, sys; from pathlib import Path; from emprune_lab.records.folders import prepare_folder\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "try: prepare_folder(Path(sys.argv[1]) / 'below')\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    assert "Permission denied" in done.stdout, done.stderr


BROKEN = ["empty", "bytes", "half", "folder", "dict", "numbers", "fields", "type", "deep", "new"]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_results_file_is_named_and_stays(kind, tmp_path, capsys):
    path = tmp_path / "results.json"
    whole = json.loads((MRPC / "results.json").read_text())[:1]
    contents = {
        "empty": "", "half": json.dumps(whole)[:-30], "dict": "{}", "numbers": "[1]", "deep": "[" * 100_000,
        "fields": json.dumps([{"schema_version": 1, "data": "digits"}]),
        "type": json.dumps([{**whole[0], "accuracy": "high"}]),
        "new": json.dumps([{**whole[0], "schema_version": 99}]),
    }  # fmt: skip
    if kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"\xff\x00" if kind == "bytes" else contents[kind].encode())
    before = None if kind == "folder" else path.read_bytes()
    report = ["report", str(tmp_path), "--out", str(tmp_path / "out")]
    for command in (report, ["compare", *SMALL, "--out", str(tmp_path)]):
        assert main(command) == 2
        printed = capsys.readouterr().err
        assert printed.startswith("error: ")
        assert printed.count("\n") == 1
        assert str(tmp_path) in printed
    assert before is None or path.read_bytes() == before
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
@pytest.mark.parametrize("command", [["compare"], ["train"], ["headline", "--models", "resnet18"]])
def test_cuda_without_cuda_is_one_sentence(command, tmp_path, capsys):
    assert main([*command, "--device", "cuda", "--out", str(tmp_path / "out")]) == 2
    said = "error: device is 'cuda'; allowed: cpu, or an accelerator that this machine has, such as cuda.\n"
    assert capsys.readouterr().err == said


def test_ctrl_c_at_start_up(tmp_path):
    command = [*COMMAND, "compare", *SMALL, "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("Comparing full, short, random")
        process.send_signal(signal.SIGINT)
        output, said = process.communicate(timeout=120)
    assert (process.returncode, output) == (130, "")
    assert said.startswith("Stopped. What was saved is kept; go on with:\n  emprune compare")
    assert "Traceback" not in said


def not_ignored():
    """Let Ctrl-C count, also where the tests run in a background that ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_while_figures_are_drawn(tmp_path):
    command = [*COMMAND, "report", str(MRPC), "--out", str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, preexec_fn=not_ignored) as process:
        while not (tmp_path / "results.json").exists() and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said.startswith("Stopped. ")
    assert "Traceback" not in said
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]
