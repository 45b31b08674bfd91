"""A run interrupted after any step and resumed is the run that was never interrupted."""

import dataclasses

import numpy as np
import pytest
import torch
from lab_runs import stop_after, without_times

from emprune.errors import ArgumentError, DataError
from emprune_lab.records.results import load_result, load_samples
from emprune_lab.runs.runner import CHECKPOINT_FILE, Interrupted, run
from emprune_lab.specs.spec import RunSpec, build_pruner, parse_policy
from emprune_lab.tasks import recipe_for
from emprune_lab.tasks.images.augment import ShiftAndFlip

RECIPE = recipe_for("digits").changed(epochs=3, shift=1)


def spec(policy="emp", rate=0.7, **changes):
    return RunSpec("digits", policy, rate, 0, dataclasses.replace(RECIPE, **changes))


@pytest.mark.parametrize("policy", ["emp", "infobatch", "rs2"])
def test_stopped_and_resumed_equals_uninterrupted(policy, tmp_path):
    whole = run(spec(policy), tmp_path / "whole")
    steps = [0, 11, 1, 13]  # at the first step, at an epoch's last one (12 a epoch), in mid-epoch, twice in one
    for count in steps:
        with pytest.raises(Interrupted):
            run(spec(policy), tmp_path / "parts", should_stop=stop_after(count))
    parts = run(spec(policy), tmp_path / "parts")
    assert without_times(parts) == without_times(whole)
    for name, values in dataclasses.asdict(load_samples(tmp_path / "whole")).items():
        np.testing.assert_array_equal(values, getattr(load_samples(tmp_path / "parts"), name))
    assert not (tmp_path / "parts" / CHECKPOINT_FILE).exists()


@pytest.mark.parametrize("damage", [lambda content: content[:100], lambda content: b"", lambda content: b"x" * 5000])
def test_damaged_checkpoint_is_named(damage, tmp_path):
    with pytest.raises(Interrupted):
        run(spec(), tmp_path, should_stop=stop_after(3))
    path = tmp_path / CHECKPOINT_FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"checkpoint\.pt is damaged; remove it"):
        run(spec(), tmp_path)


def test_damaged_result_is_named(tmp_path):
    run(spec(), tmp_path)
    (tmp_path / "result.json").write_text('{"accuracy": 1}')
    with pytest.raises(DataError, match=r"result\.json is missing or no results file"):
        run(spec(), tmp_path)


def test_finished_run_is_only_read(tmp_path):
    first = run(spec(), tmp_path)
    assert run(spec(), tmp_path, should_stop=lambda: True) == first == load_result(tmp_path)


def test_every_policy_trains_the_same_number_of_samples(tmp_path):
    budget = sum(build_pruner(spec(), 1197).kept)
    for policy in ("short", "static-random", "random", "rs2", "lfl", "infobatch", "emp:rule=top"):
        result = run(spec(policy), tmp_path / policy.replace(":", "-"))
        assert result.samples_backward == budget, policy
        assert result.realised_rate == pytest.approx(1 - budget / (1197 * 3))


def test_short_runs_fewer_epochs_of_full_data():
    pruner = build_pruner(spec("short", 0.5), 100)
    assert pruner.kept == (100, 50)


def test_global_generator_is_left_alone(tmp_path):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    run(spec(), tmp_path)
    assert torch.equal(torch.rand(1), expected)


def test_policy_labels():
    assert parse_policy("emp:beta=2.5:rule=top") == ("emp", {"beta": 2.5, "rule": "top"})
    with pytest.raises(ArgumentError, match=r"'best'.*full, .*short"):
        parse_policy("best")
    with pytest.raises(ArgumentError, match="name:setting=value"):
        parse_policy("emp:beta")
    with pytest.raises(ArgumentError, match="size"):
        build_pruner(spec("emp:size=3"), 100)


def test_augmentation_shifts_and_mirrors_whole_images():
    image = torch.arange(25.0).reshape(1, 1, 5, 5)
    images, augment = image.expand(200, 1, 5, 5), ShiftAndFlip(1, seed=0)
    batch = augment(images, epoch=0, position=0)
    padded = torch.nn.functional.pad(image, (1,) * 4, mode="reflect")[0, 0]
    windows = [padded[i : i + 5, j : j + 5] for i in range(3) for j in range(3)]
    allowed = {tuple(w.flatten().tolist()) for w in windows} | {tuple(w.flip(1).flatten().tolist()) for w in windows}
    assert {tuple(one.flatten().tolist()) for one in batch} == allowed
    assert torch.equal(batch, ShiftAndFlip(1, seed=0)(images, epoch=0, position=0))
    assert not torch.equal(batch, augment(images, epoch=1, position=0))


def test_augmentation_drawn_ahead_is_that_of_each_batch():
    images, ahead = torch.rand(10, 2, 6, 6), ShiftAndFlip(2, seed=3, ahead=3)
    steps = [(0, 0, 4), (0, 4, 4), (0, 8, 2), (1, 0, 4), (1, 12, 4), (0, 4, 4)]  # the last batch is smaller
    for epoch, position, size in steps:
        alone = ShiftAndFlip(2, seed=3)(images[:size], epoch, position)
        assert torch.equal(ahead(images[:size], epoch, position), alone)
