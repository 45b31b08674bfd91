"""Comparisons of a user's function: killed and gone on, in two processes, with runs that raise, either way better."""

import importlib
import json
import multiprocessing
import os
import re
import subprocess
import sys
from pathlib import Path

import own_train
import pytest
from lab_runs import without_times

import emprune_lab
from emprune.errors import ArgumentError, DataError, EmpruneError
from emprune_lab.records.results import load_results
from emprune_lab.runs.own.function import check_function, check_importable, load_function, name_of

HERE = Path(own_train.__file__)
FILES = ("results.json", "table.md", "summary.json", "report.html")
GRID = {"policies": ("full", "random", "emp-gated"), "prune_rates": (0.5,), "seeds": 2, "threads": 1}


def script(*arguments, cwd=None, **environment):
    """Run a script in a process of its own."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=300, cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
    )  # fmt: skip


def outcomes(folder):
    return {result.run_id: without_times(result) | {"command": ""} for result in load_results(folder)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A comparison of the plain function, in this process."""
    out = tmp_path_factory.mktemp("finished")
    return out, emprune_lab.compare(own_train.train, **GRID, out=out)


def test_out_comes_what_every_comparison_gives(finished):
    out, compared = finished
    assert all((out / name).is_file() for name in FILES)
    assert compared.report == out / "report.html"
    assert json.loads((out / "summary.json").read_text()) == compared.summary
    assert {path.name for path in (out / "figures").iterdir()} >= {
        f"own-train-train-{name}.png" for name in ("accuracy", "difference", "spending", "counts", "decided")
    }
    setting = compared.summary["settings"][0]
    assert (setting["title"], setting["metric"], setting["higher_is_better"]) == ("own_train:train", "accuracy", True)
    assert {(row["policy"], row["prune_rate"]) for row in setting["rows"]} == {
        ("full", 0.0), ("random", 0.5), ("emp-gated", 0.5)
    }  # fmt: skip
    [answer] = compared.answers
    assert answer.startswith("Pruning with emp-gated at 0.5 ")
    assert "it saves 50 % of the samples and" in answer
    for name in ("table.md", "report.html"):
        assert answer in (out / name).read_text()


def test_nothing_is_said_of_what_is_not_known(finished):
    page = (finished[0] / "report.html").read_text() + (finished[0] / "table.md").read_text()
    for word in ("Wrong labels", "Imbalance", "Evaluated on", "test set</", "remembered %", "damaged", "Small data"):
        assert word not in page


def test_a_second_call_trains_nothing(finished, capsys):
    out, compared = finished
    again = emprune_lab.compare(own_train.train, **GRID, out=out)
    assert again.answers == compared.answers
    assert "6 runs, 6 of them finished" in capsys.readouterr().out


def test_finished_runs_are_read_by_another_measure(finished):
    out, _ = finished
    again = emprune_lab.compare(own_train.train, **GRID, out=out, metric="loss", lower_is_better=True)
    assert again.summary["settings"][0]["metric"] == "loss"
    assert {(run.metric, run.higher_is_better) for run in load_results(out)} == {("loss", False)}
    emprune_lab.compare(own_train.train, **GRID, out=out)


def test_another_function_needs_another_folder(finished):
    with pytest.raises(DataError, match=r"results of another experiment \(own_train:train, run"):
        emprune_lab.compare(own_train.loss_alone, **GRID, out=finished[0], num_samples=200, num_epochs=4)


def test_two_processes_train_the_same(finished, tmp_path):
    emprune_lab.compare(own_train.train, **GRID, out=tmp_path, jobs=2)
    assert outcomes(tmp_path) == outcomes(finished[0])


@pytest.mark.skipif(multiprocessing.get_start_method() != "fork", reason="processes are not forked here")
def test_loaders_in_two_processes_start_theirs_as_in_a_script(tmp_path):
    """By fork, where that is the system's way: no pickled data set, and no import of torch in each epoch."""
    done = script(HERE, "with_loader_processes", tmp_path, 2, "full,random", 1)
    assert done.returncode == 0, done.stdout


def test_killed_in_the_middle_it_goes_on_run_by_run(finished, tmp_path):
    environment = {"LOG": str(tmp_path / "log")}
    first = script(HERE, "logged", tmp_path / "out", **environment)
    assert first.returncode == -9
    log = (tmp_path / "log").read_text().splitlines()
    killed = (tmp_path / "log.killed").read_text()
    assert log[-1] == killed
    second = script(HERE, "logged", tmp_path / "out", **environment)
    assert second.returncode == 0, second.stderr
    trained = (tmp_path / "log").read_text().splitlines()
    assert sorted(trained) == sorted([*set(trained), killed])  # that run twice, all others once
    assert len(set(trained)) == 6
    accuracy = {(run.policy, run.seed): run.accuracy for run in load_results(tmp_path / "out")}
    assert accuracy == {(run.policy, run.seed): run.accuracy for run in load_results(finished[0])}


def test_a_killed_process_of_two_fails_its_run_and_the_next_call_goes_on_inside_it(tmp_path):
    call = [HERE, "saving", tmp_path / "out", 2, "full,random", 1]
    first = script(*call)
    assert first.returncode == 1
    assert "was killed by signal 9" in first.stdout
    assert "2 of 2 runs failed" in first.stderr
    second = script(*call)
    assert second.returncode == 0, second.stderr
    states = list((tmp_path / "out" / "runs").glob("*/state"))
    assert [(state / "epochs").read_text().split() for state in states] == 2 * [["0", "1", "2", "2", "3"]]
    for state in (tmp_path / "other" / "runs" / one.parent.name / "state" for one in states):
        state.mkdir(parents=True)
        (state / "killed").touch()
    emprune_lab.compare(
        own_train.saving, num_samples=200, num_epochs=4, policies=["full", "random"], prune_rates=[0.5], seeds=1,
        out=tmp_path / "other",
    )  # fmt: skip
    assert outcomes(tmp_path / "out") == outcomes(tmp_path / "other")


def test_ctrl_c_stops_between_two_steps_and_keeps_what_is_finished(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PRESSED", str(tmp_path / "pressed"))
    call = {**GRID, "num_samples": 200, "num_epochs": 4, "out": tmp_path / "out"}
    with pytest.raises(KeyboardInterrupt):
        emprune_lab.compare(own_train.interrupted, **call)
    said = " ".join(capsys.readouterr().out.split())
    assert "Stopped: 1 of 6 runs are finished. What is finished is kept; the same call goes on." in said
    assert [run.policy for run in load_results(tmp_path / "out")] == ["full"]
    emprune_lab.compare(own_train.interrupted, **call)
    assert "6 runs, 1 of them finished" in capsys.readouterr().out


@pytest.mark.parametrize("jobs", [1, 2])
def test_runs_that_raise_leave_the_others_alone_and_are_tried_again(tmp_path, monkeypatch, capsys, jobs):
    monkeypatch.setenv("MENDED", str(tmp_path / "mended"))
    call = {**GRID, "num_samples": 200, "num_epochs": 4, "out": tmp_path / "out", "jobs": jobs}
    with pytest.raises(EmpruneError, match=r"1 of 6 runs failed: own_train.failing-random-r0.5-s1.*tries them again"):
        emprune_lab.compare(own_train.failing, **call)
    said = capsys.readouterr().out
    assert "[failed] random rate 0.5 seed 1: KeyError: 'no such image'" in said
    assert 'raise KeyError("no such image")' in said
    assert len(load_results(tmp_path / "out")) == 5
    assert (tmp_path / "out" / "report.html").is_file()
    (tmp_path / "mended").touch()
    emprune_lab.compare(own_train.failing, **call)
    assert "6 runs, 5 of them finished" in capsys.readouterr().out
    assert len(load_results(tmp_path / "out")) == 6


def test_of_a_loss_less_is_better(tmp_path):
    compared = emprune_lab.compare(
        own_train.loss_alone, policies=["ladder", "random"], prune_rates=[0.5], seeds=3, num_samples=200, num_epochs=4,
        metric="test loss", lower_is_better=True, out=tmp_path, threads=1,
    )  # fmt: skip
    rows = {(row["policy"], row["prune_rate"]): row for row in compared.summary["settings"][0]["rows"]}
    full, shortest = rows["full", 0.0]["metrics"]["test loss"], rows["short", 0.9375]["metrics"]["test loss"]
    assert full["mean"]["value"] < shortest["mean"]["value"]
    assert rows["short", 0.9375]["minus_full"]["value"] > 0
    random = rows["random", 0.5]
    assert 0.1 < random["speed_up"]["value"] <= 2
    costs = random["minus_full"]["value"] > 0
    assert bool(re.search(r"costs|ends at test loss", compared.answers[0])) == costs
    assert "test loss ↓" in (tmp_path / "table.md").read_text()


def test_a_changed_function_is_warned_of(tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "changing_function.py"
    path.write_text(
        "from own_train import train as plain\n\ndef train(pruner, seed):\n    return plain(pruner, seed)\n"
    )
    changing = importlib.import_module(path.stem)
    call = {"num_samples": 200, "num_epochs": 4, "policies": ["full"], "seeds": 1, "out": tmp_path / "out"}
    emprune_lab.compare(changing.train, **call)
    assert "warning" not in capsys.readouterr().out
    path.write_text(path.read_text() + "# another line\n")
    emprune_lab.compare(importlib.reload(changing).train, **call)
    said = " ".join(capsys.readouterr().out.split())
    assert "1 finished run was trained with another version of changing_function.py" in said


def test_a_script_without_a_guard_is_told_what_to_write(tmp_path):
    (tmp_path / "unguarded.py").write_text(
        "import emprune_lab\nfrom own_train import train as plain\n\n"
        "def train(pruner, seed):\n    return plain(pruner, seed)\n\n"
        "emprune_lab.compare(train, num_samples=200, num_epochs=4, seeds=1, jobs=2)\n"
    )
    done = script("unguarded.py", cwd=tmp_path)
    assert done.returncode == 1
    assert 'Put the call under if __name__ == "__main__":.' in done.stderr


def test_what_other_processes_cannot_import_is_refused(tmp_path):
    def inner(pruner, seed):
        return 0.0

    for function in (inner, lambda pruner, seed: 0.0):
        with pytest.raises(ArgumentError, match=r"that other processes can import.*jobs=1 takes any function"):
            emprune_lab.compare(function, num_samples=10, num_epochs=1, out=tmp_path, jobs=2)
    session = "import emprune_lab\ndef f(pruner, seed): return 0.0\n"
    session += "emprune_lab.compare(f, num_samples=9, num_epochs=1, jobs=2)"
    assert "other processes cannot import a session" in script("-c", session, cwd=tmp_path).stderr
    check_importable(own_train.train)


def test_a_closure_will_do_in_this_process(tmp_path):
    compared = emprune_lab.compare(
        lambda pruner, seed: own_train.train(pruner, seed), num_samples=200, num_epochs=4, policies=["full"], seeds=1,
        out=tmp_path,
    )  # fmt: skip
    assert [run.data for run in compared.results] == [
        f"{__name__}:test_a_closure_will_do_in_this_process.<locals>.<lambda>"
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_train", "module:function or file.py:function"),
        ("own_trian:train", "there is no module own_trian"),
        ("own_train:trian", "Did you mean 'train'"),
        ("nowhere/file.py:train", "there is no file nowhere/file.py"),
        ("own_train:N", r"a function of \(pruner, seed\)"),
    ],
)
def test_a_name_that_leads_nowhere(name, message):
    with pytest.raises(ArgumentError, match=message):
        load_function(name)


def test_a_module_that_raises_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_module.py").write_text("1 / 0\n")
    with pytest.raises(DataError, match="broken_module cannot be imported: ZeroDivisionError"):
        load_function("broken_module.py:train")
    (tmp_path / "needing.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(DataError, match="needing cannot be imported: No module named 'nothing_of_this_name'"):
        load_function("needing:train")


def test_functions_that_take_something_else(tmp_path):
    with pytest.raises(ArgumentError, match="Other arguments need defaults"):
        check_function(lambda pruner, seed, batch_size: 0.0)
    with pytest.raises(ArgumentError, match=r"of \(pruner, seed\)"):
        check_function(lambda pruner: 0.0)
    check_function(lambda pruner, seed, folder: 0.0)
    check_function(lambda pruner, seed, batch_size=32, *, folder=None: 0.0)
    assert name_of(own_train.train) == "own_train:train"


@pytest.mark.parametrize("given", [{"num_samples": 0}, {"num_samples": 2.5}, {}])
def test_lengths_are_asked_for(given, tmp_path):
    with pytest.raises(ArgumentError, match=r"num_samples is .*or set loss_alone\.num_samples beside the function"):
        emprune_lab.compare(own_train.loss_alone, num_epochs=4, out=tmp_path, **given)
