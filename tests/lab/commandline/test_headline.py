"""The headline, end to end at a tiny size: its order, its recipes, and slices that go on."""

import json

import pytest
from made_cifar import put_cifar100

from emprune_lab.cli import main
from emprune_lab.commandline.headline import Headline

TINY = ["headline", "--policies", "emp,divbs,full", "--prune-rates", "0.5", "--epochs", "1", "--train-size", "6",
        "--precision", "float32"]  # fmt: skip


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    labels = [i % 3 for i in range(6)]
    put_cifar100(tmp_path, monkeypatch, train_labels=labels, test_labels=[0, 1])
    return [*TINY, "--batch-size", "6", "--data-dir", str(tmp_path), "--device", "cpu", "--jobs", "1",
            "--reference", "emp", "--out", str(tmp_path / "out")]  # fmt: skip


def test_both_models_run_with_their_recipes_and_a_finished_run_is_not_repeated(arguments, tmp_path, capsys):
    assert main([*arguments, "--json"]) == 0
    path = tmp_path / "out" / "results.json"
    first = path.read_text()
    results = json.loads(first)
    assert [(run["model"], run["policy"]) for run in results] == [
        (model, policy) for model in ("resnet18", "resnet50") for policy in ("emp", "divbs", "full")
    ]
    assert {(run["model"], run["recipe"]["optimizer"], run["recipe"]["max_lr"]) for run in results} == {
        ("resnet18", "sgd", 0.05), ("resnet50", "lars", 5.2)
    }  # fmt: skip
    assert {run["recipe"]["precision"] for run in results} == {"float32"}  # as asked for
    assert [run["samples_backward"] for run in results] == [3, 3, 6] * 2
    assert [run["samples_forward"] for run in results] == [3, 6 + 3, 6] * 2  # divbs: the batch, and its part again
    for folder in (tmp_path / "out" / "runs").iterdir():
        for file in folder.iterdir():
            file.unlink()  # the disk did not last; results.json did
    assert main(arguments) == 0
    assert path.read_text() == first


def test_a_budget_stops_in_time_with_code_0_and_the_next_call_goes_on(arguments, tmp_path, capsys):
    arguments += ["--models", "resnet18"]
    assert main([*arguments, "--budget-minutes", "0"]) == 0
    assert "3 of 3 runs are left. Go on with" in " ".join(capsys.readouterr().out.split())
    assert not (tmp_path / "out" / "results.json").exists()
    assert main([*arguments, "--mode", "graph"]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    # A policy that chooses within the batch is executed as it comes.
    assert [run["device"].endswith(", graph") for run in results] == [run["policy"] != "divbs" for run in results]
    assert len(results) == 3


def test_the_paper_s_grid_comes_most_important_first():
    specs = Headline().specs()
    assert len(specs) == 2 * (10 * 3 + 1)
    assert (specs[0].recipe.model, specs[0].policy, specs[0].prune_rate) == ("resnet18", "emp", 0.7)
    assert [spec.prune_rate for spec in specs[:11]] == [0.7, 0.7, 0.7, 0.0, *[0.7] * 7]
    assert [spec.prune_rate for spec in specs[11:31]] == [0.9] * 10 + [0.5] * 10
    assert {spec.recipe.epochs for spec in specs} == {200}
    assert {spec.anneal for spec in specs} == {0.125}


def test_another_experiment_in_the_folder_is_refused_and_stays(arguments, tmp_path, capsys):
    out = tmp_path / "out"
    digits = ["compare", "--epochs", "1", "--seeds", "1", "--policies", "random", "--prune-rates", "0.5", "--jobs", "1"]
    assert main([*digits, "--out", str(out)]) == 0
    before = (out / "results.json").read_bytes()
    capsys.readouterr()
    assert main(arguments) == 2
    assert "holds results of another experiment (mlp on digits" in capsys.readouterr().err
    assert (out / "results.json").read_bytes() == before
    assert main([*digits, "--first-seed", "1", "--out", str(out)]) == 0  # more seeds of the same experiment join
    assert [run["seed"] for run in json.loads((out / "results.json").read_text())] == [0, 1]


def test_an_unknown_model_is_named(capsys):
    assert main(["headline", "--models", "vit"]) == 2
    assert "models is 'vit'; allowed: among resnet18, resnet50." in capsys.readouterr().err
