"""Pre-training on text as runs of the lab: interrupted and resumed, measured, compared, and refused."""

import dataclasses

import numpy as np
import pytest
from lab_runs import stop_after, without_times

from emprune.errors import ArgumentError, DataError
from emprune_lab.commandline.options import Setting
from emprune_lab.records.results import load_samples
from emprune_lab.runs.runner import Interrupted, run
from emprune_lab.specs.recipe import Recipe
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import PRESETS
from emprune_lab.tasks.text.corpus import digest_of
from emprune_lab.tasks.text.presets import TextSettings

TEXT = "".join(f"the {one} of the {other}.\n" for one in ("sea", "sun", "ship") for other in ("man", "moon")) * 25
RECIPE = Recipe(
    model="gpt-1x32", epochs=3, batch_size=16, max_lr=2e-3, optimizer="adamw", schedule="linear", clip_norm=1.0,
    task=TextSettings("characters", window=16, dropout=0.1),
)  # fmt: skip
RECIPES = {
    "gpt": RECIPE,
    "bert": RECIPE.changed(model="bert-1x32", vocabulary="bpe270", dropout=0.0, batch_size=4),
}


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "made.txt"
    path.write_text(TEXT)
    return path


def spec(path, policy="emp", rate=0.7, recipe=RECIPE, **changes):
    return RunSpec("text", policy, rate, 0, recipe, data_dir=str(path), **changes)


@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_stopped_and_resumed_equals_uninterrupted(kind, text_file, tmp_path):
    asked = spec(text_file, recipe=RECIPES[kind])
    whole = run(asked, tmp_path / "whole")
    for count in (2, 3, 0):  # an epoch has 3 or 4 steps
        with pytest.raises(Interrupted):
            run(asked, tmp_path / "parts", should_stop=stop_after(count))
    assert without_times(run(asked, tmp_path / "parts")) == without_times(whole)
    for name, values in dataclasses.asdict(load_samples(tmp_path / "whole")).items():
        np.testing.assert_array_equal(values, getattr(load_samples(tmp_path / "parts"), name))


@pytest.mark.parametrize(
    ("kind", "metric"), [("gpt", "bits per character"), ("bert", "bits per masked token")]
)  # fmt: skip
def test_a_result_names_its_metric_and_how_it_went(kind, metric, text_file, tmp_path):
    result = run(spec(text_file, "full", 0.0, RECIPES[kind]), tmp_path)
    assert result.metric == metric
    measured = [epoch[metric] for epoch in result.history]
    assert len(measured) == 3
    assert measured[0] > measured[-1]
    assert result.accuracy == result.metrics[metric] == pytest.approx(measured[-1], rel=0.1)
    assert result.realised_rate == 0
    assert 0 < result.remembered < 1
    samples = load_samples(tmp_path)
    assert samples.correct.mean() == pytest.approx(result.remembered)
    assert set(samples.times_trained) == {3}


def test_full_data_predicts_better_than_a_short_run_and_the_budgets_agree(text_file, tmp_path):
    results = {
        policy: run(spec(text_file, policy, 0.0 if policy == "full" else 0.7), tmp_path / policy)
        for policy in ("full", "short", "random", "lfl", "infobatch", "emp")
    }
    assert results["full"].accuracy < results["short"].accuracy
    assert len({result.samples_backward for policy, result in results.items() if policy != "full"}) == 1


def test_the_first_windows_alone_can_be_trained(text_file, tmp_path):
    result = run(spec(text_file, "full", 0.0, RECIPE.changed(train_size=40)), tmp_path)
    assert result.num_samples == 40
    with pytest.raises(ArgumentError, match="train_size"):
        run(spec(text_file, recipe=RECIPE.changed(train_size=10**6)), tmp_path / "more")


@pytest.mark.parametrize(
    ("policy", "changes", "recipe", "says"),
    [
        ("emp", {"label_noise": 0.2}, {}, "label_noise is 0.2; allowed: 0, since the task of text"),
        ("emp", {"imbalance": 10.0}, {}, "imbalance is 10.0; allowed: 1, since the task of text"),
        ("kakurenbo", {}, {}, "policy"),
        ("divbs", {}, {}, "policy"),
        ("el2n", {}, {}, "policy is 'el2n'"),
        ("emp", {}, {"model": "mlp"}, "model is 'mlp'.*gpt-4x128"),
        ("emp", {}, {"vocabulary": ""}, "vocabulary is ''"),
        ("emp", {}, {"window": 0}, "window is 0"),
    ],
)
def test_what_text_does_not_have_is_refused(policy, changes, recipe, says, text_file, tmp_path):
    asked = spec(text_file, policy, recipe=RECIPE.changed(**recipe), **changes)
    with pytest.raises(ArgumentError, match=says):
        run(asked, tmp_path / "run")


def test_another_text_is_another_run_and_a_changed_one_is_noticed(text_file, tmp_path):
    named = RECIPE.changed(text=digest_of(TEXT))
    assert spec(text_file, recipe=named).run_id != spec(text_file).run_id
    text_file.write_text(TEXT + "more")
    with pytest.raises(DataError, match=f"not {digest_of(TEXT)}; it changed"):
        run(spec(text_file, recipe=named), tmp_path)


def test_options_of_text(text_file):
    template = Setting(data="text", data_dir=str(text_file), preset="char-gpt", window=20).template()
    assert template.recipe == PRESETS["char-gpt"].recipe.changed(window=20, text=digest_of(TEXT))
    assert Setting(data="tinyshakespeare", vocabulary="bpe300").template().recipe.task.vocabulary == "bpe300"
    for data, option in (("tinyshakespeare", {"shift": 1}), ("digits", {"vocabulary": "characters"})):
        with pytest.raises(ArgumentError, match="left out"):
            Setting(data=data, **option).template()
    with pytest.raises(DataError, match="--data-dir"):
        Setting(data="text").template()
