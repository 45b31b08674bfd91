"""What is memorised: the estimator, its training on subsets, and a study from command to files."""

import collections
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from studies.memorization.__main__ import main, publish, rounded
from studies.memorization.estimate import SubsetModels, contrast, reliability, vote_entropy
from studies.memorization.figures import correlations_figure, pruned_figure
from studies.memorization.study import STUDIES, Condition, Study, conditions
from studies.memorization.summary import EDGES, mem_groups, summarise
from studies.memorization.tables import tables
from studies.memorization.training import Setup, batch_order, evaluate, load_tasks, subsets_of, train, train_subsets

from emprune import Pruner
from emprune.errors import ArgumentError
from emprune_lab.data import load
from emprune_lab.report.style import png

PUBLISHED = Path(__file__).parents[2] / "studies" / "memorization"
MLP = Setup("digits", "mlp", epochs=2, batch_size=32, max_lr=0.1, train_size=120, label_noise=0.2)
CNN = dataclasses.replace(MLP, model="cnn")


def small_task(setup):
    return load_tasks(setup)[0]


def random_models(num_models=40, num_samples=25, seed=0):
    rng = np.random.default_rng(seed)
    inside = rng.random((num_models, num_samples)) < 0.6
    inside[0], inside[1] = True, False
    return inside, rng.integers(0, 3, (num_models, num_samples)), rng.random((num_models, num_samples))


# The estimator.


def test_contrast_equals_a_naive_loop():
    inside, _, loss = random_models()
    expected = []
    for sample in range(inside.shape[1]):
        of_sample = list(zip(inside[:, sample], loss[:, sample], strict=True))
        within = [value for trained, value in of_sample if trained]
        without = [value for trained, value in of_sample if not trained]
        expected.append(sum(within) / len(within) - sum(without) / len(without))
    np.testing.assert_allclose(contrast(inside, loss), expected)


@pytest.mark.parametrize("always", [True, False])
def test_a_sample_that_is_in_all_subsets_or_none_is_an_error(always):
    inside, _, loss = random_models()
    inside[:, 3] = always
    with pytest.raises(ArgumentError, match="more subset models"):
        contrast(inside, loss)


def test_contrast_of_what_is_known():
    """Samples: learnt from the others; memorised; never learnt; right one time in two without it."""
    inside = np.array([[True] * 4, [True] * 4, [False] * 4, [False] * 4])
    right = np.array([[1, 1, 0, 1], [1, 1, 0, 1], [1, 0, 0, 1], [1, 0, 0, 0]], dtype=bool)
    np.testing.assert_array_equal(contrast(inside, right), [0, 1, 0, 0.5])


def test_vote_entropy_equals_a_naive_loop():
    _, predicted, _ = random_models()
    for sample, found in enumerate(vote_entropy(predicted, 5)):
        shares = [count / len(predicted) for count in collections.Counter(predicted[:, sample].tolist()).values()]
        assert found == pytest.approx(-sum(share * math.log(share) for share in shares))


def test_reliability_of_a_sure_and_of_a_meaningless_estimate():
    rng = np.random.default_rng(0)
    inside = rng.random((200, 300)) < 0.7
    labels = np.zeros(300, dtype=np.int64)
    chance = np.where(inside, 0.9, np.linspace(0.1, 0.9, 300))  # of being right
    sure = SubsetModels(inside, (rng.random(inside.shape) > chance).astype(np.int8), rng.random(inside.shape))
    found = reliability(sure, labels, 2)
    mem = found["mem"]
    assert 0.6 < mem["halves"] < mem["all_models"] < mem["bound"] < 1
    assert mem["all_models"] == pytest.approx(2 * mem["halves"] / (1 + mem["halves"]))
    # Loss and prediction of these have nothing to do with what was trained on.
    assert abs(found["gain"]["halves"]) < 0.15


def test_ceiling_is_below_one_where_most_samples_tie():
    inside = np.random.default_rng(0).random((60, 100)) < 0.5
    right = np.ones((60, 100), dtype=bool)
    right[:, :10] = inside[:, :10]
    found = reliability(SubsetModels(inside, (~right).astype(np.int8), right.astype(np.float32)), np.zeros(100, int), 2)
    assert found["mem"]["ceiling"] == pytest.approx(math.sqrt(1 - (90**3 - 90 + 10**3 - 10) / (100**3 - 100)))
    assert found["mem"]["halves"] == pytest.approx(1)


# Training on subsets.


def test_subsets_have_one_size_and_depend_on_their_number_alone():
    subsets = subsets_of(100, 0.7, range(3, 6))
    assert subsets.shape == (3, 70)
    assert all(len(set(row.tolist())) == 70 and row.tolist() == sorted(row) for row in subsets)
    np.testing.assert_array_equal(subsets[1:], subsets_of(100, 0.7, range(4, 6)))
    assert len({tuple(row) for row in subsets.tolist()}) == 3


def test_models_trained_side_by_side_equal_models_trained_alone():
    task, seeds = small_task(MLP), [5, 6, 7]
    subsets = subsets_of(len(task.labels), 0.7, range(3))
    outcome = train_subsets(task, MLP, subsets, seeds)
    assert [np.flatnonzero(row).tolist() for row in outcome.inside] == subsets.tolist()
    for row, (subset, seed) in enumerate(zip(subsets, seeds, strict=True)):
        model = task.build("mlp", seed)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=2 * 3)
        for epoch in range(2):
            ids = torch.from_numpy(subset[batch_order(seed, epoch, len(subset))])
            for batch in (ids[:32], ids[32:64], ids[64:]):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(task.images[batch]), task.labels[batch]).backward()
                optimizer.step()
                schedule.step()
        loss = torch.nn.functional.cross_entropy(model(task.images), task.labels, reduction="none")
        np.testing.assert_allclose(outcome.loss[row], loss.detach(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("setup", [MLP, CNN], ids=["mlp", "cnn"])
def test_a_model_knows_nothing_of_what_lies_outside_its_subset(setup):
    task = small_task(setup)
    subsets = subsets_of(len(task.labels), 0.7, range(2))
    outside = np.ones((2, len(task.labels)), dtype=bool)
    np.put_along_axis(outside, subsets, False, axis=1)
    nowhere = torch.from_numpy(outside.all(axis=0))
    assert nowhere.any()
    changed = task._replace(labels=torch.where(nowhere, (task.labels + 1) % 10, task.labels))
    first, second = (train_subsets(each, setup, subsets, [1, 2]) for each in (task, changed))
    np.testing.assert_array_equal(first.predicted, second.predicted)
    inside = torch.where(nowhere, task.labels, (task.labels + 1) % 10)
    third = train_subsets(task._replace(labels=inside), setup, subsets, [1, 2])
    assert (first.predicted != third.predicted).any()


def test_the_trace_is_of_the_epochs_end_and_the_models_mode_is_put_back():
    task = small_task(CNN)
    pruner = Pruner(len(task.labels), "lfl", prune_rate=0.5, num_epochs=2, seed=3)
    seen = []

    def after_epoch(model):
        evaluated = evaluate(model, task)
        assert model.training
        seen.append((pruner.epoch, pruner.table.times_trained.sum(), evaluated.loss))

    model = train(task, CNN, pruner, after_epoch)
    assert [(epoch, trained) for epoch, trained, _ in seen] == [(1, 60), (2, 120)]
    np.testing.assert_array_equal(seen[-1][2], evaluate(model, task).loss)
    logits = model.eval()(task.images)
    expected = torch.nn.functional.cross_entropy(logits, task.labels, reduction="none")
    np.testing.assert_allclose(seen[-1][2], expected.detach(), rtol=1e-5, atol=1e-6)


# The summary, on a condition in which the answers are known.


@pytest.fixture(scope="module")
def planted():
    """60 samples with ten wrong labels; after the first epoch the entropy is mem, the loss its reverse."""
    rng = np.random.default_rng(0)
    num_models, num_samples, epochs = 80, 60, 2
    inside = rng.random((num_models, num_samples)) < 0.7
    chance = np.where(inside, 1.0, np.linspace(0.02, 0.98, num_samples))
    predicted = (rng.random(inside.shape) > chance).astype(np.int8)
    mem = contrast(inside, predicted == 0)
    noise = rng.random((epochs, num_samples)).astype(np.float32)
    entropy, loss = noise.copy(), noise[::-1].copy()
    entropy[1], loss[1] = mem, -mem
    trace = {"loss": loss, "entropy": entropy, "seen_loss": noise, "seen_entropy": noise}
    runs = [
        {
            "times_trained": np.argsort(np.argsort(mem)).astype(np.int32),
            "correct": mem < EDGES[-1],
            "test_accuracy": np.array(0.5 + 0.1 * seed),
            **trace,
        }
        for seed in range(3)
    ]
    pruned = [{name: run[name] for name in ("times_trained", "correct", "test_accuracy")} for run in runs]
    labels, mislabelled = np.zeros(num_samples, dtype=np.int64), np.arange(num_samples) < 10
    losses = rng.random(inside.shape).astype(np.float32)
    every = {("full", 0.0): runs, ("lfl", 0.7): pruned}
    return Condition(0.2, mislabelled, labels, SubsetModels(inside, predicted, losses), every), mem


@pytest.fixture(scope="module")
def summary(planted):
    return summarise(planted[0])


def test_summary_finds_what_was_planted(planted, summary):
    (condition, mem), found = planted, summary
    at_end = {score: column["value"][1] for score, column in found["correlations"]["all"]["after"]["mem"].items()}
    assert at_end["entropy"] == pytest.approx(1)
    assert at_end["loss"] == pytest.approx(-1)
    assert at_end["loss + 20·entropy"] == pytest.approx(1)
    assert math.isnan(at_end["entropy | loss"])  # nothing of the entropy is left once the loss is known
    assert abs(found["correlations"]["all"]["after"]["mem"]["entropy"]["value"][0]) < 0.5
    lfl = found["pruned"][1]
    assert lfl["mem_and_times_trained"]["all"]["value"] > 0.99
    assert lfl["test_accuracy"]["value"] == pytest.approx(0.6)
    assert set(found["correlations"]) == {"all", "right label", "wrong label"}
    sizes = found["memorised"]["all"]["groups"]
    assert sum(sizes) == 60
    for group, row in enumerate(lfl["by_group"]["all"]):
        chosen = [n for n in range(60) if (*EDGES, 9)[group] > mem[n] >= (-9, *EDGES)[group]]
        assert row["samples"] == len(chosen) == sizes[group]
        assert row["remembered"]["value"] == (1 if group < len(EDGES) else 0)
        assert row["times_trained"]["value"] == pytest.approx(
            np.mean(condition.runs["lfl", 0.7][0]["times_trained"][chosen])
        )


def test_tables_show_what_was_planted(summary):
    lines = tables("digits", [rounded(summary)]).splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| all | 2 |")]
    assert len(rows) == 3  # one a target
    assert [cell.split()[0] for cell in rows[0][2:4]] == ["−1.00", "1.00"]
    assert any(line.startswith("| lfl | 0.7 | 60.0 | all | ") for line in lines)


def test_summary_by_count_equals_a_naive_loop(planted, summary):
    condition, mem = planted
    for row in summary["pruned"][1]["by_count"]:
        chosen = [
            (mem[n], run["correct"][n])
            for run in condition.runs["lfl", 0.7]
            for n in range(60)
            if row["from"] <= run["times_trained"][n] <= row["to"]
        ]
        assert row["samples"] == len(chosen)
        assert row["mem"] == pytest.approx(np.mean([value for value, _ in chosen]))
        assert row["remembered"] == pytest.approx(np.mean([right for _, right in chosen]))


def test_groups_begin_at_their_edge():
    assert mem_groups(np.array([-0.3, 0.0499, 0.05, 0.25, 0.4999, 0.5, 1.0])).tolist() == [0, 0, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("name", STUDIES)
def test_published_tables_and_figures_follow_from_the_published_numbers(name):
    numbers = json.loads((PUBLISHED / name / "memorization.json").read_text())["conditions"]
    assert tables(name, numbers) == (PUBLISHED / name / "table.md").read_text()
    for build in (correlations_figure, pruned_figure):
        assert png(build(numbers)).startswith(b"\x89PNG")


# The study's folder and its command.

SMALL = Study(MLP, models=26, seeds=1, subset=0.5, label_noise=(0.2,), policies=("lfl",), prune_rates=(0.7,))


def finished(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("output.pkl")}


def test_a_study_writes_its_files_and_trains_nothing_twice(tmp_path):
    paths = publish(SMALL, tmp_path)
    document = json.loads((tmp_path / "memorization.json").read_text(), parse_constant=pytest.fail)
    assert [one["label_noise"] for one in document["conditions"]] == [0.2]
    assert document["study"]["setup"]["train_size"] == 120
    assert set(document["summarised_by"]) == {"git_commit", "device", "versions"}
    kinds = [(run["policy"], run["prune_rate"]) for run in document["conditions"][0]["pruned"]]
    assert kinds == [("full", 0.0), ("lfl", 0.7)]
    before = finished(tmp_path)
    assert len(before) == 2 + 2
    assert {path.name for path in paths} == {"memorization.json", "table.md", "correlations.png", "pruned.png"}
    text = (tmp_path / "memorization.json").read_text()
    publish(SMALL, tmp_path)
    assert finished(tmp_path) == before
    assert (tmp_path / "memorization.json").read_text() == text


def test_more_models_and_seeds_join_those_that_are_there(tmp_path):
    few = dataclasses.replace(SMALL, models=25, policies=())
    (small,) = conditions(few, tmp_path)
    before = finished(tmp_path)
    (large,) = conditions(dataclasses.replace(few, models=30, seeds=2), tmp_path)
    assert {path: time for path, time in finished(tmp_path).items() if path in before} == before
    np.testing.assert_array_equal(large.models.predicted[:25], small.models.predicted)
    assert (len(large.models.inside), len(large.runs["full", 0.0])) == (30, 2)
    assert large.mislabelled.sum() == 24
    assert len({tuple(row) for row in large.models.inside.tolist()}) == 30


def test_models_of_other_settings_are_trained_anew(tmp_path):
    one = dataclasses.replace(SMALL, models=4, policies=())
    other = dataclasses.replace(one, setup=dataclasses.replace(MLP, epochs=1))
    (longer,), (shorter,) = conditions(one, tmp_path), conditions(other, tmp_path)
    assert (longer.models.loss != shorter.models.loss).all()


def test_a_data_set_without_a_study_is_a_usage_error(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["mnist", "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert "mnist" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_missing_files_are_named(tmp_path, capsys):
    assert main(["fashion-mnist", "--data-dir", str(tmp_path / "nowhere"), "--out", str(tmp_path)]) == 2
    assert "nowhere/train-images-idx3-ubyte.gz is missing" in capsys.readouterr().err.replace("\n", "")


def test_rounding_leaves_no_number_that_json_lacks():
    assert rounded([float("nan"), float("inf"), 1, True, None, "x", 0.12345]) == [
        None,
        None,
        1,
        True,
        None,
        "x",
        0.1235,
    ]


def test_images_lie_around_zero():
    task, _, _ = load_tasks(dataclasses.replace(MLP, pool=2, train_size=50))
    assert task.images.shape == (50, 1, 4, 4)
    expected = load("digits", train_size=50).images[0, 0, :2, :2].float().mean() / 127.5 - 1
    assert task.images[0, 0, 0, 0].item() == pytest.approx(expected.item())
