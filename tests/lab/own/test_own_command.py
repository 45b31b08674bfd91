"""``emprune compare --train``: the command gives what the call gives, and says what an option means."""

import json

import own_train
import pytest
from lab_runs import without_times

import emprune_lab
from emprune_lab.cli import main
from emprune_lab.records.results import load_results

ASKED = ["--policies", "full,random", "--prune-rates", "0.5", "--seeds", "1", "--threads", "1"]


def test_the_command_trains_what_the_call_trains(tmp_path, capsys):
    assert main(["compare", "--train", "own_train:train", *ASKED, "--out", str(tmp_path / "command")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Comparing full and random on own_train:train, prune rates 0.5, 1 seed:")
    assert "a difference that one seed does not tell from chance" in " ".join(said.split())
    emprune_lab.compare(
        own_train.train, policies=["full", "random"], prune_rates=[0.5], seeds=1, threads=1, out=tmp_path / "call"
    )  # fmt: skip
    command, call = (
        [without_times(one) | {"command": ""} for one in load_results(tmp_path / name)] for name in ("command", "call")
    )
    assert command == call
    assert load_results(tmp_path / "command")[0].command.startswith("emprune compare --train own_train:train")


def test_what_was_found_is_reported_on_again(tmp_path):
    assert main(["compare", "--train", "own_train:train", *ASKED, "--out", str(tmp_path / "first")]) == 0
    assert main(["report", str(tmp_path / "first"), "--out", str(tmp_path / "again")]) == 0
    first, again = ((tmp_path / name / "summary.json").read_text() for name in ("first", "again"))
    assert first == again
    assert json.loads(first)["settings"][0]["answers"]


def test_lower_is_better_and_json(tmp_path, capsys):
    call = ["compare", "--train", "own_train:loss_alone", "--num-samples", "200", "--num-epochs", "4", *ASKED]
    assert main([*call, "--metric", "test loss", "--lower-is-better", "--json", "--out", str(tmp_path)]) == 0
    runs = json.loads(capsys.readouterr().out)
    assert {(run["metric"], run["higher_is_better"]) for run in runs} == {("test loss", False)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metric", "loss"], "metric is 'loss'; allowed: left out without --train"),
        (["--num-epochs", "4"], "num_epochs is 4; allowed: left out without --train"),
        (["--train", "own_train:train", "--model", "cnn"], "model is 'cnn'; allowed: left out with --train"),
        (["--train", "own_train:train", "--device", "cuda"], "device is 'cuda'; allowed: left out with --train"),
        (
            ["--train", "own_train:train", "--label-noise", "0.2"],
            "label_noise is (0.2,); allowed: left out with --train",
        ),
        (["--train", "own_train:train", "--num-samples", "0"], "num_samples is 0; allowed: an integer of at least 1"),
        (["--train", "own_train:loss_alone"], "or set loss_alone.num_samples beside the function"),
        (["--train", "own_train:train", "--policies", "el2n"], "el2n needs a scoring run"),
        (["--train", "own_train:train", "--reference", "rs2"], "reference is 'rs2'"),
    ],
)
def test_options_that_mean_nothing_are_refused_before_anything_is_written(options, message, tmp_path, capsys):
    assert main(["compare", *options, "--out", str(tmp_path / "out")]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_a_budget_of_time_leaves_the_rest_for_later(tmp_path, capsys):
    call = ["compare", "--train", "own_train:train", *ASKED, "--out", str(tmp_path)]
    assert main([*call, "--budget-minutes", "0"]) == 0
    assert "2 of 2 runs are left" in capsys.readouterr().out
    assert main(call) == 0
    assert len(load_results(tmp_path)) == 2
