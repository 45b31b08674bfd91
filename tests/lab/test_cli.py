"""The command as a person calls it: real processes, a real Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emprune_lab.cli import exit_code, main

MRPC = Path(__file__).parents[2] / "studies" / "language" / "mrpc"
SMALL = ["--data", "digits", "--epochs", "2", "--seeds", "2", "--jobs", "1"]


def emprune(*arguments, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "emprune", *arguments], capture_output=True, text=True, env=environment, **options
    )


def test_compare_writes_everything_and_prints_the_paths_last(tmp_path, capsys):
    out = tmp_path / "out"
    policies = ["--policies", "full,short,random,emp", "--prune-rates", "0.9"]
    assert main(["compare", *SMALL, *policies, "--out", str(out)]) == 0
    results = json.loads((out / "results.json").read_text())
    assert [(r["policy"], r["seed"]) for r in results] == [
        (policy, seed) for seed in (0, 1) for policy in ("full", "short", "random", "emp")
    ]
    assert {r["samples_backward"] for r in results if r["policy"] != "full"} == {240}
    lines = capsys.readouterr().out.strip().splitlines()[-4:]
    assert [Path(line).name for line in lines] == ["results.json", "summary.json", "table.md", "report.html"]
    assert all(Path(line).is_file() for line in lines)


def test_interrupted_comparison_goes_on_where_it_stopped(tmp_path):
    arguments = ["compare", "--data", "digits", "--policies", "random,emp", "--prune-rates", "0.7"]
    arguments += ["--epochs", "60", "--seeds", "3", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "emprune", *arguments, "--jobs", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        while not list(tmp_path.glob("runs/*/result.json")) and process.poll() is None:
            time.sleep(0.02)
        time.sleep(0.3)  # both processes are in the middle of a run then
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=240)
    assert process.returncode == 130, output
    assert "go on with" in output
    finished = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/result.json")}
    assert 1 <= len(finished) < 6
    assert list(tmp_path.glob("runs/*/checkpoint.pt"))
    grown = {run["run_id"] for run in json.loads((tmp_path / "results.json").read_text())}
    assert grown == {path.parent.name for path in finished}
    assert main([*arguments, "--jobs", "1"]) == 0
    assert not list(tmp_path.glob("runs/*/checkpoint.pt"))
    assert len(json.loads((tmp_path / "results.json").read_text())) == 6
    assert {path: path.stat().st_mtime_ns for path in finished} == finished


def test_train_and_report(tmp_path, capsys):
    common = ["--data", "digits", "--epochs", "2", "--prune-rate", "0.7", "--out", str(tmp_path / "train")]
    for policy in ("random", "emp:rule=top"):
        assert main(["train", "--policy", policy, "--json", *common]) == 0
    printed = capsys.readouterr().out.strip().splitlines()
    assert [json.loads(line)["policy"] for line in printed] == ["random", "emp:rule=top"]
    assert main(["report", str(tmp_path / "train"), "--out", str(tmp_path / "report")]) == 0
    table = (tmp_path / "report" / "table.md").read_text()
    assert "emp:rule=top" in table
    shutil.copy(tmp_path / "report" / "results.json", tmp_path)
    shutil.rmtree(tmp_path / "train")
    shutil.rmtree(tmp_path / "report")
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "table.md").read_text() == table


def test_comparison_without_labels_goes_on_from_its_results_alone(tmp_path, capsys):
    arguments = ["compare", "--data", "digits", "--preset", "simclr", "--model", "cnn", "--train-size", "300"]
    arguments += ["--epochs", "1", "--prune-rates", "0.5", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path)]
    assert main([*arguments, "--policies", "random"]) == 0
    trained = json.loads((tmp_path / "results.json").read_text())
    shutil.rmtree(tmp_path / "runs")
    assert main([*arguments, "--policies", "random,emp"]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert results[0] == trained[0]
    assert [run["policy"] for run in results] == ["random", "emp"]
    assert main([*arguments, "--policies", "random", "--batch-size", "100"]) == 2
    assert "results of another experiment" in capsys.readouterr().err


def test_methods_lists_policies_and_rules(capsys):
    assert main(["methods"]) == 0
    printed = capsys.readouterr().out
    known = ("infobatch", "rs2", "scan", "short", "el2n", "threshold", "classification", "alignment")
    for word in (*known, "2303.04947", "2408.16031"):
        assert word in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policies", "best"], "policy is 'best'; allowed: one of full,"),
        (["--policies", "random, infobach"], "policy is 'infobach'"),
        (["--policies", "infobach"], "Did you mean 'infobatch'?"),
        (["--policies", "emp:bta=2"], "bta is 2; allowed: settings of policy 'emp', beta, rule, gamma, unseen."),
        (["--policies", "static-subset"], "policy is 'static-subset'; allowed: one without ids, which only a program"),
        (["--prune-rates", "0.7,", "0.9"], "--prune-rates: a list is one argument, without spaces: 0.7,0.9"),
        (["--policies", ""], "--policies: a list is one argument, without spaces: NAME,NAME"),
        (["--policies", "emp", "lfl"], "--policies: a list is one argument, without spaces: emp,lfl"),
        (["--anneal", "x"], "--anneal: could not convert string to float: 'x'"),
        (["--reference", "infobach"], "Did you mean 'infobatch'?"),
        (["--preset", "cola"], "preset is 'cola'; allowed: one for digits: simclr, moco, simclr-resnet18, digits,"),
        (["--data", "imagenet"], "data is 'imagenet'; allowed: one of cifar10, cifar100, digits, fashion-mnist,"),
        (["--model", "vit"], "model is 'vit'; allowed: one of mlp, cnn, resnet8-slim, resnet10-slim,"),
        (["--preset", "gpu"], "preset is 'gpu'; allowed: one of simclr, moco, simclr-resnet18, digits,"),
        (["--policies", "ccs:scores=best"], "scores is 'best'; allowed: one of el2n,"),
        (["--prune-rates", "1.0"], "prune_rate is 1.0; allowed: a number in [0, 1)"),
        (["--prune-rates", "0.9999"], "This rate keeps no sample."),
        (["--label-noise", "2"], "label_noise is 2.0"),
        (["--seeds", "0"], "seeds is 0"),
        (["--policies", "emp:beta=-1"], "beta is -1"),
        (["--split", "train"], "train"),
        (["--no-such-option"], "no-such-option"),
        (["--policies", "[/x]"], "policy is '[/x]'"),
        (["--device", "nowhere"], "device is 'nowhere'; allowed: cpu, or an accelerator that this machine has"),
        (["--device", "meta"], "device is 'meta'"),
        (["--device", "cpu:7"], "device is 'cpu:7'"),
        (["--threads", "0"], "threads is 0; allowed: an integer of at least 1"),
        (["--batch-size", "0"], "batch_size is 0"),
        (["--shift", "-1"], "shift is -1; allowed: an integer of at least 0"),
        (["--jobs", "0"], "jobs is 0"),
        (["--budget-minutes", "nan"], "budget_minutes is nan; allowed: a number of at least 0"),
    ],
)
def test_bad_usage_ends_with_2_and_one_clear_sentence(arguments, message, tmp_path, capsys):
    try:
        code = main(["compare", *SMALL, "--out", str(tmp_path / "out"), *arguments])
    except SystemExit as ended:  # the option parser's way
        code = ended.code
    printed = capsys.readouterr()
    assert code == 2
    assert message in " ".join(printed.err.split())
    assert [line for line in printed.out.splitlines() if not line.startswith("Comparing ")] == []
    assert not (tmp_path / "out").exists()


def test_process_ends_with_the_code_and_without_traceback(tmp_path):
    missing = ["--data", "fashion-mnist", "--data-dir", str(tmp_path)]
    done = emprune("compare", *missing, "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "train-images-idx3-ubyte.gz is missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_shift_that_leaves_nothing_of_an_image_is_named(tmp_path, capsys):
    assert main(["compare", *SMALL, "--jobs", "1", "--shift", "8", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "error: shift is 8; allowed: at most 7 pixels, for images of 8.\n"


def test_a_folder_of_several_comparisons_is_refused_with_their_names(capsys):
    studies = Path(__file__).parents[2] / "studies" / "fashion-mnist"
    assert main(["report", str(studies)]) == 2
    assert f"{studies / 'annealing'}, {studies / 'clean-and-mislabelled'}" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["methods"], ["headline", "--help"], ["--version"], ["report", str(MRPC)]])
def test_a_reader_that_stops_reading_ends_the_command_quietly(arguments, tmp_path):
    command = [sys.executable, "-m", "emprune", *arguments]
    command += ["--out", str(tmp_path)] if arguments[0] == "report" else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 141
    assert arguments[0] != "report" or (tmp_path / "report.html").is_file()  # what was asked for is there all the same


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_in_a_destructor_is_not_lost(capsys):
    class Swallows:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def work():
        Swallows()
        return 0

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in a background it is ignored
    try:
        assert exit_code(work, "emprune report") == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.startswith("Stopped. ")
