"""A task of a new kind goes through runs, comparisons and reports unchanged; images give what they always gave."""

import dataclasses
import json
import re
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from emprune.errors import ArgumentError
from emprune_lab import tasks
from emprune_lab.cli import main
from emprune_lab.data.sets import DataSets
from emprune_lab.records.results import Result, load_results, load_samples, save_results
from emprune_lab.runs import compare
from emprune_lab.runs.runner import Interrupted, run
from emprune_lab.runs.training import Training
from emprune_lab.specs.recipe import Preset, Recipe, TaskSettings
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import Kind, Scores, TrainingSet, build_task, preset_for, recipe_for, training_data

CPU = torch.device("cpu")


class Line:
    """Regression without labels or classes: a loss that is better low, two predictions a sample."""

    metric = "bits per character"
    num_samples = 40
    evaluation_batch = 7

    def __init__(self, spec):
        rng = torch.Generator().manual_seed(0)
        self.x = torch.randn(40, 3, generator=rng)
        self.y = self.x @ torch.tensor([[1.0, 2.0], [0.0, -1.0], [1.0, 1.0]])
        self.model = nn.Linear(3, 2)
        nn.init.zeros_(self.model.weight)
        nn.init.zeros_(self.model.bias)
        self.calls = []

    def batch(self, ids, epoch, position):
        self.calls.append((ids.tolist(), epoch, position))
        return ids

    def plain_batch(self, ids):
        return ids

    def part(self, batch, positions):
        return batch[positions]

    def forward(self, batch, inputs=()):
        error = self.model(self.x[batch]) - self.y[batch]
        right = (error.detach().abs() < 0.5).float().mean(1)
        extra = {"confidence": right} if "confidence" in inputs else {}
        return Scores(error.square().mean(1), error.detach().abs().mean(1), right, extra)

    def after_epoch(self):
        return self.evaluate_test()

    @torch.no_grad()
    def evaluate_test(self):
        return {"bits per character": float(self.forward(torch.arange(40)).loss.mean()), "other": 1.0}

    @torch.no_grad()
    def evaluate_train(self):
        found = self.forward(torch.arange(40))
        loss, memory, right = (column.numpy() for column in found[:3])
        return TrainingSet(loss, memory, right, right, np.zeros(40, dtype=bool))


@dataclasses.dataclass(frozen=True)
class LineSettings(TaskSettings):
    """What only lines have."""

    nested: ClassVar[str] = "line"
    slope: float = 1.0


@pytest.fixture(autouse=True)
def line(monkeypatch):
    """A kind of its own, as a folder of tasks/ would bring it."""
    recipe = Recipe("linear", epochs=4, batch_size=8, max_lr=0.1, nesterov=False, task=LineSettings())
    sets = DataSets()
    sets.add("line", preset="line")(lambda data_dir: range(40))
    kind = Kind(
        LineSettings, sets, {"line": Preset(recipe, "a test")}, (), lambda spec: sets.read(spec.data, None),
        lambda spec, data, device, compiled: Line(spec),
    )  # fmt: skip
    monkeypatch.setattr(tasks, "KINDS", dict(tasks.KINDS))
    monkeypatch.setattr(tasks, "PRESETS", dict(tasks.PRESETS))
    tasks.register("line", kind)


def spec(policy="emp", rate=0.5, seed=0, **changes):
    return RunSpec("line", policy, rate, seed, recipe_for("line").changed(**changes))


def test_a_task_is_trained_evaluated_and_written_down(tmp_path):
    result = run(spec(), tmp_path)
    assert (result.metric, result.metrics["other"]) == ("bits per character", 1.0)
    assert result.accuracy == result.metrics["bits per character"] == result.history[-1]["bits per character"]
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert result.samples_backward == 4 * 20
    assert result.headline == f"bits per character {result.accuracy:.4f}"
    assert dataclasses.replace(result, metric="accuracy", accuracy=0.9733).headline == "accuracy 97.33%"
    samples = load_samples(tmp_path)
    assert samples.correct.dtype == np.float32
    assert result.remembered == pytest.approx(samples.correct.mean())
    assert set(np.unique(samples.correct)) <= {0.0, 0.5, 1.0}


def test_the_loop_hands_epochs_and_positions_to_the_task():
    training = Training(spec("full", 0.0, epochs=2), range(40))
    training.epochs(lambda: None)
    assert [(epoch, position) for _, epoch, position in training.task.calls] == [
        (epoch, position) for epoch in range(2) for position in range(0, 40, 8)
    ]
    for epoch in range(2):
        ids = [one for batch, its, _ in training.task.calls if its == epoch for one in batch]
        assert sorted(ids) == list(range(40))


@pytest.mark.parametrize("policy", ["selective-backprop", "kakurenbo"])
def test_in_batch_and_hiding_policies_need_nothing_more(policy, tmp_path):
    result = run(spec(policy), tmp_path)
    assert result.samples_forward > result.samples_backward


def test_what_is_defined_by_class_labels_is_refused(tmp_path):
    with pytest.raises(
        ArgumentError, match=r"policy is 'el2n'; allowed: one that needs no class labels: line has none"
    ):
        run(spec("el2n"), tmp_path)


def test_a_task_of_other_samples_than_its_data_is_refused():
    with pytest.raises(ArgumentError, match="num_samples is 40; allowed: the length of the data of line, 41"):
        build_task(spec(), range(41), CPU)


def test_stopped_and_resumed_equals_uninterrupted(tmp_path):
    whole = run(spec("infobatch"), tmp_path / "whole")
    asked = iter(range(10**6))
    with pytest.raises(Interrupted):
        run(spec("infobatch"), tmp_path / "parts", should_stop=lambda: next(asked) >= 4)
    parts = run(spec("infobatch"), tmp_path / "parts")
    assert parts.metrics == whole.metrics


def test_a_comparison_ranks_the_lower_measure_higher(tmp_path, capsys, monkeypatch):
    specs = compare.grid(spec(), ["full", "random", "emp"], [0.5], [0, 1], [0.0])
    comparison = compare.Comparison(specs, tmp_path)
    comparison.run_missing()
    results = comparison.results.values()
    better = [dataclasses.replace(one, accuracy=one.accuracy / 100) if one.policy == "emp" else one for one in results]
    for one in better:
        folder = tmp_path / "runs" / one.run_id / "result.json"
        folder.write_text(json.dumps(dataclasses.asdict(one)))
    assert main(["report", str(tmp_path / "runs"), "--out", str(tmp_path / "report")]) == 0
    table = (tmp_path / "report" / "table.md").read_text()
    assert "bits per character ↓" in table
    assert re.search(r"\| emp \| 0\.0.* \| −1\.\d+ \[.*\| \(1\.\d+\) \|", table)  # less is a gain
    assert "accuracy" not in table
    assert load_results(tmp_path / "report")[0].metric == "bits per character"
    capsys.readouterr()


COMMAND = ["compare", "--data", "line", "--policies", "random", "--prune-rates", "0.5", "--seeds", "1", "--jobs", "1"]


def test_a_measure_that_nobody_knows_is_told_before_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Line, "metric", "beauty")
    assert main([*COMMAND, "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("error: metric is 'beauty'; allowed: one of ")
    assert not (tmp_path / "out").exists()


def test_a_measure_that_the_task_did_not_take_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Line, "metric", "accuracy")
    assert main([*COMMAND, "--out", str(tmp_path)]) == 1
    said = "[failed] random rate 0.5 seed 0: metric is 'accuracy'; allowed: among those that the task measured: bits"
    assert said in capsys.readouterr().out


def test_results_of_a_measure_that_is_not_known_here_are_refused(tmp_path, capsys):
    save_results(tmp_path / "results.json", [dataclasses.replace(run(spec(), tmp_path / "run"), metric="beauty")])
    (tmp_path / "run" / "result.json").unlink()
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "report")]) == 2
    assert capsys.readouterr().err.startswith("error: metric is 'beauty'; allowed: one of ")


def test_an_error_of_the_task_itself_is_told_whole(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Line, "evaluate_test", lambda task: 1 / 0)
    monkeypatch.setattr(Line, "after_epoch", lambda task: {})
    assert main([*COMMAND, "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "[failed] random rate 0.5 seed 0: division by zero" in printed.out
    assert "Traceback" in printed.out
    assert printed.err.count("\n") == 1


def test_unknown_data_lists_every_kind():
    with pytest.raises(ArgumentError, match=r"data is 'nothing'; allowed: one of .*digits, .*cola.*line"):
        training_data(dataclasses.replace(spec(), data="nothing"))


def test_its_recipes_are_stored_and_read_with_its_own_settings():
    stored = spec(slope=2.0).recipe.as_dict()
    assert stored["line"] == {"slope": 2.0}
    assert "clip_norm" not in stored
    assert tasks.completed("line", stored) == {
        **stored, "schedule": "onecycle", "clip_norm": None, "vocabulary": "", "window": 0, "dropout": 0.0,
        "text": "", "contrastive": None,
    }  # fmt: skip
    assert spec(slope=2.0).run_id != spec().run_id
    with pytest.raises(
        ArgumentError, match=r"data is 'digits'; allowed: data of the recipe's task, line\..* simclr, .* digits"
    ):
        training_data(dataclasses.replace(spec(), data="digits"))


@pytest.mark.parametrize(
    ("option", "changes"),
    [("label_noise is 0.2; allowed: 0", {"label_noise": 0.2}), ("imbalance is 10.0; allowed: 1", {"imbalance": 10.0})],
)
def test_what_it_does_not_carry_out_is_refused(option, changes, tmp_path):
    asked = dataclasses.replace(spec(), **changes)
    with pytest.raises(ArgumentError, match=f"{option}, since the task of line does not know it"):
        compare.check([asked])
    with pytest.raises(ArgumentError, match=option):
        run(asked, tmp_path)


@pytest.mark.parametrize("mode", ["compile", "compile-graph"])
def test_a_mode_that_it_does_not_carry_out_is_refused(mode, tmp_path):
    with pytest.raises(ArgumentError, match="mode is 'compile'; allowed: plain, since the task of line"):
        run(spec(), tmp_path, mode=mode)


def test_a_recipe_of_a_task_that_nobody_registered_is_answered_with_how_to():
    @dataclasses.dataclass(frozen=True)
    class RegressionSettings(TaskSettings):
        pass

    recipe = Recipe("linear", epochs=1, batch_size=8, max_lr=0.1, task=RegressionSettings())
    with pytest.raises(
        ArgumentError, match=r"recipe is 'one whose task is RegressionSettings'; .*register\(name, KIND\)"
    ):
        training_data(RunSpec("line", "emp", 0.5, 0, recipe))


def test_a_preset_of_other_data_is_answered_with_those_that_fit():
    with pytest.raises(ArgumentError, match=r"preset is 'simclr'; allowed: one for line: line\."):
        preset_for("line", "simclr")
    with pytest.raises(ArgumentError, match=r"preset is 'simcl'; .* Did you mean 'simclr'\?"):
        preset_for("digits", "simcl")


def test_images_are_scored_as_by_hand():
    chosen = RunSpec("digits", "divbs", 0.7, 0, recipe_for("digits").changed(train_size=64, shift=1))
    task = build_task(chosen, training_data(chosen), CPU)
    task.model.eval()
    images, labels = task.data.images[:9].float() / 127.5 - 1, task.data.labels[:9]
    with torch.no_grad():
        scores = task.forward(task.plain_batch(torch.arange(9)), ("gradient_products",))
        logits, hidden = task.model(images), task.model[:-1](images)
    torch.testing.assert_close(scores.loss, torch.nn.functional.cross_entropy(logits, labels, reduction="none"))
    torch.testing.assert_close(scores.memory, torch.distributions.Categorical(logits=logits).entropy())
    assert torch.equal(scores.right, logits.argmax(1) == labels)
    weight = nn.Linear(hidden.shape[1], 10)
    weight.load_state_dict(task.model[-1].state_dict())
    slopes = []
    for one, label in zip(hidden, labels, strict=True):
        weight.zero_grad()
        torch.nn.functional.cross_entropy(weight(one)[None], label[None]).backward()
        slopes.append(weight.weight.grad.flatten().clone())
    products = torch.stack([torch.stack([one @ other for other in slopes]) for one in slopes])
    torch.testing.assert_close(scores.extra["gradient_products"], products)
    moved = task.batch(torch.arange(9), 0, 0)
    assert not torch.equal(moved.inputs, task.plain_batch(torch.arange(9)).inputs)
    assert torch.equal(moved.inputs, task.batch(torch.arange(9), 0, 0).inputs)


def test_identity_of_earlier_recipes_is_kept():
    assert RunSpec("digits", "emp", 0.7, 0, recipe_for("digits")).run_id == "digits-emp-r0.7-s0-2f35596cd1"
    assert "clip_norm" not in recipe_for("digits").as_dict()
    assert recipe_for("digits").changed(clip_norm=1.0).as_dict()["clip_norm"] == 1.0


def test_results_without_further_measures_are_read(tmp_path):
    run(spec(), tmp_path / "a")
    entry = json.loads((tmp_path / "a" / "result.json").read_text())
    del entry["metrics"]
    assert Result(**entry).metrics == {}
    save_results(tmp_path / "results.json", [Result(**entry)])
    assert load_results(tmp_path)[0].metrics == {}
