"""Committed runs trained again: what they were trained from, and what counts as different."""

import dataclasses
from pathlib import Path

import pytest
from studies.repeat import main, spec_of

from emprune_lab.records.results import load_results, save_results
from emprune_lab.runs.runner import run
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import recipe_for

STUDIES = Path(__file__).parents[2] / "studies"
COMMITTED = sorted(path.parent for path in STUDIES.rglob("results.json"))


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: str(folder.relative_to(STUDIES)))
def test_a_stored_result_says_what_it_was_trained_from(folder):
    for result in load_results(folder):
        spec = spec_of(result)
        assert spec.recipe.as_dict().items() >= result.recipe.items()
        # Before recipes had an optimizer, a run's identity was made of less.
        assert spec.run_id.rsplit("-", 1)[0] == result.run_id.rsplit("-", 1)[0]
        assert spec.run_id == result.run_id or "optimizer" not in result.recipe


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    recipe = dataclasses.replace(recipe_for("digits"), epochs=2, train_size=64)
    return [
        run(
            RunSpec("digits", policy, 0.5, 1, recipe, label_noise=0.2),
            tmp_path_factory.mktemp("runs") / "runs" / policy,
        )
        for policy in ("emp", "el2n")
    ]


def test_runs_that_repeat_pass(trained, tmp_path, capsys):
    save_results(tmp_path / "results.json", trained)
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert all(result.run_id in printed for result in trained)


def test_only_the_runs_asked_for_are_trained(trained, tmp_path):
    save_results(tmp_path / "results.json", [trained[0], dataclasses.replace(trained[1], accuracy=0.5)])
    assert main([str(tmp_path), "--policy", "emp"]) == 0
    assert main([str(tmp_path), "--policy", "el2n", "--seed", "1", "--prune-rate", "0.5", "--label-noise", "0.2"]) == 1


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"accuracy": 0.5}, "accuracy: 0.5 →"),
        ({"remembered": 0.5}, "remembered: 0.5 →"),
        ({"samples_backward": 1}, "samples_backward: 1 → 64"),
        ({"metrics": {"another": 0.5}}, "another: 0.5 → None"),
        ({"history": [{"loss": 0.1}, {"loss": 0.2}]}, "loss of epoch 1: 0.1 →"),
    ],
)
def test_every_number_that_differs_is_named_with_both_values(trained, tmp_path, capsys, changes, found):
    save_results(tmp_path / "results.json", [dataclasses.replace(trained[0], **changes)])
    assert main([str(tmp_path)]) == 1
    assert found in capsys.readouterr().out


def test_a_run_that_is_not_there_is_a_usage_error(capsys):
    assert main([str(STUDIES / "digits" / "wrong-labels"), "--policy", "nothing"]) == 2
    assert "nothing" in capsys.readouterr().err
