"""A run interrupted after any step and resumed is the run that was never interrupted."""

import dataclasses

import numpy as np
import pytest
import torch
from lab_runs import stop_after, without_times

from emprune.errors import DataError, EmpruneError
from emprune_lab.records.results import load_result, load_samples
from emprune_lab.runs.runner import CHECKPOINT_FILE, Interrupted, run
from emprune_lab.runs.training import Training
from emprune_lab.specs.spec import RunSpec, build_pruner
from emprune_lab.tasks import recipe_for, training_data

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


@pytest.mark.parametrize(("policy", "of_samples"), [("emp:rate=auto", False), ("emp:rate=auto-target", True)])
def test_the_learning_rate_follows_the_position_in_a_run_whose_steps_are_not_known(policy, of_samples, tmp_path):
    """A straight line down to 0, by samples where these are known in sum, else epoch by epoch."""
    straight = spec(policy, schedule="linear", pct_start=0.0, max_lr=0.2, epochs=9)
    training, rates, steps = Training(straight, training_data(straight)), [], []
    training.optimizer.register_step_pre_hook(lambda *_: rates.append(training.optimizer.param_groups[0]["lr"]))
    training.epochs(lambda: steps.append((training.pruner.epoch, training.latest_entry["kept"])))
    kept, whole = training.pruner.kept, training.learning_rate.total_steps
    assert len(set(kept)) > 1
    for rate, (epoch, in_epoch) in zip(rates[1:], steps, strict=False):
        done = (sum(kept[:epoch]) + in_epoch) / sum(kept) if of_samples else (epoch + in_epoch / kept[epoch]) / 9
        assert rate == pytest.approx(0.2 * max(0, 1 - (round(done * whole) + 0.5) / whole))
    assert steps[-1] == (8, kept[-1])


@pytest.mark.parametrize("damage", [lambda content: content[:100], lambda content: b"", lambda content: b"x" * 5000])
def test_damaged_checkpoint_is_named(damage, tmp_path):
    with pytest.raises(Interrupted):
        run(spec(), tmp_path, should_stop=stop_after(3))
    path = tmp_path / CHECKPOINT_FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"checkpoint\.pt is damaged; remove it"):
        run(spec(), tmp_path)


def test_finished_run_is_only_read(tmp_path):
    first = run(spec(), tmp_path)
    assert run(spec(), tmp_path, should_stop=lambda: True) == first == load_result(tmp_path)


def test_every_policy_trains_the_same_number_of_samples(tmp_path):
    budget = sum(build_pruner(spec(), 1197).kept)
    for policy in (
        "short",
        "static-random",
        "random",
        "rs2",
        "lfl",
        "infobatch",
        "emp:rule=top",
        "emp:rate=auto-target",
    ):
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


def test_a_measure_that_is_no_number_is_no_result(tmp_path, monkeypatch):
    """Figures have no place for it, and a comparison would have it for ever."""
    evaluated = Training.epochs

    def diverging(training, after_step):
        evaluated(training, after_step)
        monkeypatch.setattr(training.task, "evaluate_test", lambda: {training.task.metric: float("nan")})

    monkeypatch.setattr(Training, "epochs", diverging)
    with pytest.raises(EmpruneError, match="accuracy of the trained model is nan: training diverged"):
        run(spec(), tmp_path)
    assert not (tmp_path / "result.json").exists()
