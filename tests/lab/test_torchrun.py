"""The train command under torchrun: real processes, killed and stopped, against the same run in one process."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from train_on_ranks import KILLED, SPECS, spec, trained

from emprune.distributed.partition import part_of
from emprune.errors import ArgumentError
from emprune_lab import cli
from emprune_lab.records.results import load_result, load_samples
from emprune_lab.runs.parallel import Ranks, per_rank, rows_of, without_tail
from emprune_lab.runs.runner import run
from emprune_lab.runs.torchrun import Launch

SCRIPT = str(Path(__file__).parents[1] / "helpers" / "train_on_ranks.py")
STOPPED = ["--data", "digits", "--policy", "random", "--epochs", "60", "--shift", "1"]


def torchrun(*arguments, processes=2):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        [*command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def family(pid):
    """A process and all that it started; torchrun puts its workers into sessions of their own."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in family(int(child)))]


def kill(process):
    for pid in family(process.pid):
        os.kill(pid, signal.SIGKILL)
    process.communicate()


def finish(process):
    try:
        return process.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        kill(process)
        raise


def wait_for_checkpoint(process, folder):
    until = time.monotonic() + 120
    while not list(folder.glob("runs/*/checkpoint.pt")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.fixture(scope="module")
def on_two(tmp_path_factory):
    """What every spec becomes on two ranks: the folder that both have written to."""
    folder = tmp_path_factory.mktemp("ranks")
    process = torchrun(SCRIPT, folder)
    _, errors = finish(process)
    assert process.returncode == 0, errors
    return folder


@pytest.fixture(scope="module")
def outcomes(on_two):
    return [json.loads((on_two / f"rank{rank}.json").read_text()) for rank in (0, 1)]


EXACT = [name for name in SPECS if "within" not in name and "norm" not in name]


@pytest.mark.parametrize("name", EXACT)
def test_two_ranks_train_what_one_does(name, outcomes):
    one, two = trained(SPECS[name], Ranks()), outcomes[0][name]
    for same in ("plans", "times_trained", "backward", "steps"):
        assert two[same] == json.loads(json.dumps(one[same])), same
    np.testing.assert_allclose(two["weights"], one["weights"], atol=2e-6)
    np.testing.assert_allclose(two["history"], one["history"], atol=2e-6)
    assert two["accuracy"] == pytest.approx(one["accuracy"], abs=2 / 600)
    assert two["remembered"] == pytest.approx(one["remembered"], abs=2 / 1000)


@pytest.mark.parametrize("name", [name for name in SPECS if name not in EXACT])
def test_what_sees_only_its_ranks_rows_trains_as_much(name, outcomes):
    one, two = trained(SPECS[name], Ranks()), outcomes[0][name]
    if "hidden" not in name:  # how many that policy hides depends on the losses
        assert (two["backward"], two["steps"]) == (one["backward"], one["steps"])
    assert two["weights"] != one["weights"]


def test_hidden_samples_are_observed_with_the_running_statistics_of_rank_0(outcomes):
    for name in ("hidden observed", "batch norm, hidden observed"):
        observed, evaluated = outcomes[0][name]["hidden"]
        assert len(observed) > 10
        np.testing.assert_allclose(observed, evaluated, rtol=1e-4, atol=1e-5)


def test_ranks_end_with_the_same_weights(outcomes):
    evaluated = ("accuracy", "remembered", "hidden")  # which batch norm makes different, and only rank 0 does in a run
    for name, found in outcomes[0].items():
        assert outcomes[1][name] == found | {key: outcomes[1][name][key] for key in evaluated}, name


def test_scores_of_a_static_policy_come_from_one_rank(on_two, tmp_path):
    static = spec("el2n")
    alone, together = run(static, tmp_path / "runs" / "one"), load_result(on_two / "runs" / static.run_id)
    scores = [np.load(next((folder / "scores").glob("*.npz")))["el2n"] for folder in (tmp_path, on_two)]
    np.testing.assert_array_equal(*scores)
    assert together.samples_backward_scoring == alone.samples_backward_scoring
    trained = [
        load_samples(folder).times_trained for folder in (tmp_path / "runs" / "one", on_two / "runs" / static.run_id)
    ]
    np.testing.assert_array_equal(*trained)
    assert together.device == alone.device + ", 2 ranks"


def test_errors_of_rank_0_are_raised_on_all(on_two):
    told = [(on_two / f"errors{rank}").read_text().splitlines() for rank in (0, 1)]
    assert told[0][:2] == ["ArgumentError: seed is -1; allowed: at least 0.", "DataError: it is damaged"]
    assert told[0][2].startswith("FileNotFoundError")
    assert told[0] == told[1]


def test_killed_and_resumed_is_the_uninterrupted_run(on_two, tmp_path):
    arguments = [SCRIPT, 0.02, "train", "--data", "digits", "--policy", "kakurenbo", "--model", "cnn"]
    arguments += ["--epochs", 8, "--json", "--out", tmp_path]
    process = torchrun(*arguments)
    try:
        wait_for_checkpoint(process, tmp_path)
    finally:
        kill(process)
    assert not list(tmp_path.glob("runs/*/result.json"))
    printed, said = finish(torchrun(*arguments))
    (result,) = map(json.loads, printed.splitlines())
    assert result["run_id"] == KILLED.run_id
    assert said.count("accuracy") == 2, said  # the view's line and the command's last
    folders = [folder / "runs" / KILLED.run_id for folder in (tmp_path, on_two)]
    assert sorted(path.name for path in folders[0].iterdir()) == ["result.json", "samples.npz"]
    here, whole = map(load_result, folders)
    for name in ("accuracy", "remembered", "samples_forward", "samples_backward", "optimizer_steps"):
        assert getattr(here, name) == getattr(whole, name), name
    losses = [[entry["loss"] for entry in result.history] for result in (here, whole)]
    assert losses[0] == losses[1]
    here, whole = map(load_samples, folders)
    for name in ("times_trained", "loss", "entropy", "correct"):
        np.testing.assert_array_equal(getattr(here, name), getattr(whole, name), err_msg=name)


def test_stopped_on_two_ranks_goes_on_with_one(tmp_path, capsys):
    process = torchrun(SCRIPT, 0.02, "train", *STOPPED, "--out", tmp_path / "parts")
    wait_for_checkpoint(process, tmp_path / "parts")
    process.send_signal(signal.SIGINT)
    said, _ = finish(process)
    assert said.count("Everything is saved; go on with:\n  torchrun --nproc-per-node 2 -m emprune train") == 1, said
    assert said.count("Stopping after this step") == 1
    assert not list(tmp_path.glob("parts/runs/*/result.json"))
    for folder in ("parts", "whole"):
        assert cli.main(["train", *STOPPED, "--out", str(tmp_path / folder)]) == 0
    (parts,), (whole,) = (list(tmp_path.glob(f"{folder}/runs/*")) for folder in ("parts", "whole"))
    np.testing.assert_array_equal(load_samples(parts).times_trained, load_samples(whole).times_trained)
    parts, whole = load_result(parts), load_result(whole)
    assert (parts.samples_backward, parts.optimizer_steps) == (whole.samples_backward, whole.optimizer_steps)
    assert parts.accuracy == pytest.approx(whole.accuracy, abs=0.01)
    assert parts.remembered == pytest.approx(whole.remembered, abs=0.01)


def test_batch_that_ranks_cannot_share_ends_with_2(tmp_path):
    process = torchrun("-m", "emprune", "train", "--data", "digits", "--batch-size", 33, "--out", tmp_path / "out")
    printed, errors = finish(process)
    said = " ".join((printed + errors).split())
    assert said.count("batch_size is 33; allowed: a multiple of 2, the ranks that share each batch.") == 1, said
    assert "exitcode : 2 " in said
    assert not (tmp_path / "out").exists()


def launch(rank, size=2):
    found = Launch()
    found.rank, found.size = rank, size
    return found


@pytest.mark.parametrize("rank", [0, 1])
def test_other_commands_name_train(rank, capsys):
    unsaid = io.StringIO()
    assert cli._run(["compare", "--data", "digits"], launch(rank), unsaid) == 2
    said = [" ".join(text.split()) for text in (capsys.readouterr().out, unsaid.getvalue())]
    assert "command is 'compare'; allowed: train, on the 2 processes that torchrun started." in said[rank]
    assert "--jobs" in said[rank]
    assert not said[1 - rank]


def test_rank_that_fails_alone_speaks_for_itself(capsys, monkeypatch):
    class Store:
        def wait(self, keys, time):
            raise RuntimeError("timed out")

    alone = launch(1)
    alone._store = Store()
    monkeypatch.setattr("emprune_lab.runs.torchrun.Launch", lambda: alone)
    assert cli.main(["train", "--data", "imagenet"]) == 2
    assert "rank 1: error: data is 'imagenet'" in capsys.readouterr().err


def test_device_of_a_rank():
    assert launch(1).device("cpu") == "cpu"
    assert launch(0, 1).device("cuda:3") == "cuda:3"
    with pytest.raises(ArgumentError, match=r"'cuda:1'.*for each rank's own"):
        launch(1).device("cuda:1")
    several = launch(9)
    several.local_rank = 999
    with pytest.raises(ArgumentError, match=r"at most \d+ processes a machine"):
        several.device("cuda")


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [1, 2, 5, 11, 12, 24, 31])
def test_rows_are_those_that_the_pruner_deals_out(ranks, count):
    whole = 12
    for rank in range(ranks):
        part, mine, repeats = part_of(0, count, whole // ranks, ranks, rank), [], 0
        for begin in range(0, count, whole):
            total = min(whole, count - begin)
            rows = rows_of(total, ranks, rank)
            mine += (begin + rows.positions).tolist()
            repeats += len(rows.positions) - rows.own
        assert repeats == part.repeats
        assert mine[: len(mine) - repeats] == part.positions[: len(mine) - repeats].tolist()
        assert len(mine) == len(part.positions)


def test_per_rank():
    assert [per_rank(12, ranks) for ranks in (1, 2, 3, 4)] == [12, 6, 4, 3]
    with pytest.raises(ArgumentError, match="batch_size is 12; allowed: a multiple of 5"):
        per_rank(12, 5)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_tail_passes_no_gradient_on(count):
    weights = torch.arange(3.0, requires_grad=True)
    shortened = without_tail(weights * 2, count)
    assert shortened.tolist() == [0, 2, 4]
    shortened.sum().backward()
    assert weights.grad.tolist() == [2.0] * count + [0.0] * (3 - count)
