"""The ladder of plain training: which runs it stands for, their budgets, and what is said where it cannot stand."""

import pytest

from emprune.errors import ArgumentError
from emprune_lab.cli import main
from emprune_lab.runs.compare import grid
from emprune_lab.specs.spec import RunSpec, build_policy, build_pruner, policies_at
from emprune_lab.tasks import recipe_for

RECIPE = recipe_for("digits").changed(epochs=24)
TEMPLATE = RunSpec("digits", "full", 0.0, 0, RECIPE)


def test_its_budgets_are_a_half_to_a_sixteenth_of_the_full_run():
    specs = grid(TEMPLATE, ["ladder"], [0.7], [3], [0.0])
    assert [(spec.policy, spec.seed) for spec in specs] == [*[("short", 3)] * 4, ("full", 3)]
    kept = [build_pruner(spec, 1600).kept for spec in specs]
    assert [sum(counts) for counts in kept] == [24 * 1600 // parts for parts in (16, 8, 4, 2, 1)]
    assert [len(counts) for counts in kept] == [2, 3, 6, 12, 24]  # fewer epochs of all the data
    assert kept[0] == (1600, 800)


def test_a_run_that_is_asked_for_twice_is_trained_once():
    asked = [*grid(TEMPLATE, ["full", "short", "emp"], [0.5, 0.9], [0], [0.0])]
    both = grid(TEMPLATE, ["full", "short", "emp", "ladder"], [0.5, 0.9], [0], [0.0])
    assert both[: len(asked)] == asked
    assert [(spec.policy, spec.prune_rate) for spec in both[len(asked) :]] == [
        ("short", 0.9375), ("short", 0.875), ("short", 0.75)
    ]  # fmt: skip
    assert len({spec.run_id for spec in both}) == len(both)


def test_it_trains_what_pruned_runs_train_where_epochs_are_annealed():
    (rung, *_) = grid(TEMPLATE, ["ladder"], [0.7], [0], [0.0], [0.125])
    (pruned,) = grid(TEMPLATE, ["random"], [rung.prune_rate], [0], [0.0], [0.125])
    assert sum(build_pruner(rung, 1600).kept) == sum(build_pruner(pruned, 1600).kept) == 3 * 1600 + 21 * 100


def test_it_is_no_single_run_and_has_no_settings(tmp_path, capsys):
    with pytest.raises(ArgumentError, match="one of a single run: ladder stands for short at 4 rates and full"):
        build_policy("ladder")
    with pytest.raises(ArgumentError, match="policy 'ladder' has no settings"):
        policies_at("ladder:rungs=3", [0.7])
    with pytest.raises(ArgumentError, match="Did you mean 'ladder'"):
        policies_at("lader", [0.7])
    assert main(["train", "--data", "digits", "--policy", "ladder", "--out", str(tmp_path / "out")]) == 2
    assert "Ask a comparison for it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
