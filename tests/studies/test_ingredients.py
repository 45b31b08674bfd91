"""The study of ingredients: what is pure in it, that runs are of equal cost, its command, and its page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from studies.ingredients.__main__ import main
from studies.ingredients.figure import ingredients_figure
from studies.ingredients.ingredients import INGREDIENTS, PLACES, Ingredient
from studies.ingredients.plans import CoveredRandom, sloped_counts
from studies.ingredients.proxy import harder_part
from studies.ingredients.table import chosen_table, table
from studies.ingredients.targets import Predictions, part_of, softened
from studies.ingredients.training import prepared, spec_of, train
from studies.ingredients.views import Views, mirrored

from emprune import Pruner

PAGE = Path(__file__).parents[2] / "studies" / "ingredients"
DIGITS = PLACES["digits-noise"]


def test_a_stored_prediction_is_the_network_s_in_its_highest_classes_and_even_in_the_others() -> None:
    labels, logits = torch.arange(7) % 10, torch.randn(7, 10, generator=torch.Generator().manual_seed(0))
    memory = Predictions(labels, 10, top=3)
    memory.store(torch.arange(5), logits[:5])
    found = memory.probabilities(torch.tensor([4, 0, 6]))
    for row, sample in zip(found, (4, 0), strict=False):
        right = logits[sample].softmax(0)
        highest = right.argsort(descending=True)[:3]
        others = [c for c in range(10) if c not in highest]
        assert row[highest].tolist() == pytest.approx(right[highest].tolist(), abs=2e-3)
        assert row[others].tolist() == pytest.approx([float(right[others].mean())] * 7, abs=2e-3)
    assert found[2].tolist() == [float(c == labels[6]) for c in range(10)]


@pytest.mark.parametrize("num_classes", [2, 5, 10, 300])
def test_softened_targets_sum_to_one_and_lie_between_label_and_prediction(num_classes: int) -> None:
    draw = torch.Generator().manual_seed(1)
    labels = torch.randint(0, num_classes, (40,), generator=draw)
    memory = Predictions(labels, num_classes)
    memory.store(torch.arange(30), 5 * torch.randn(30, num_classes, generator=draw))
    earlier = memory.probabilities(torch.arange(40))
    targets = softened(labels, earlier, 0.3)
    assert torch.allclose(targets.sum(1), torch.ones(40), atol=1e-6)
    assert (targets >= 0).all()
    ones = torch.nn.functional.one_hot(labels, num_classes)
    assert torch.allclose(targets, 0.7 * ones + 0.3 * earlier, atol=1e-6)
    assert torch.equal(targets[30:], ones[30:].float())


def test_the_part_of_earlier_predictions_grows_linearly() -> None:
    parts = [part_of(0.8, epoch, 8) for epoch in range(8)]
    assert np.diff(parts) == pytest.approx([0.1] * 7)
    assert parts[-1] == 0.8


def test_mirrored_views_alternate_and_half_begin_on_each_side() -> None:
    views, ids = Views(2000, 1, seed=3, by_visits=True), torch.arange(2000)
    images = torch.arange(2000 * 25, dtype=torch.float32).reshape(2000, 1, 5, 5)
    sides = []
    for epoch in (0, 4, 5):
        seen = views(images, ids, epoch)
        sides.append((seen[:, 0, 2, 3] < seen[:, 0, 2, 2]).long())  # columns rise to the right unless mirrored
        views.visited(ids)
    assert torch.equal(sides[0], 1 - sides[1])
    assert torch.equal(sides[0], sides[2])
    assert 900 < int(sides[0].sum()) < 1100
    assert mirrored(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 3])).tolist() == [0, 1, 0]


def test_a_view_is_that_of_its_id_in_whichever_batch() -> None:
    images = torch.randn(50, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    whole = Views(50, 2, seed=0)(images, torch.arange(50), 7)
    part = torch.tensor([31, 4, 17])
    assert torch.equal(Views(50, 2, seed=0)(images[part], part, 7), whole[part])
    assert not torch.equal(Views(50, 2, seed=0)(images, torch.arange(50), 8), whole)


def test_the_harder_part_holds_the_highest_scores() -> None:
    scores = np.random.default_rng(0).normal(size=31).astype(np.float32)
    assert set(harder_part(scores, 9)) == set(sorted(range(31), key=lambda i: -scores[i])[:9])


@pytest.mark.parametrize(("begin", "end"), [(1.6, 0.4), (0.4, 1.6), (1.0, 1.0)])
def test_sloped_counts_are_batches_and_sum_to_the_constant_total(begin: float, end: float) -> None:
    counts = sloped_counts([1000] * 50, begin, end, unit=128)
    assert sum(counts) == 50_000
    assert all(count % 128 == 0 for count in counts[:-1])
    assert counts[0] == pytest.approx(1000 * begin, abs=128)
    assert counts[-1] == pytest.approx(1000 * end, abs=128)


def test_coverage_comes_before_repetition_and_is_uniform_afterwards() -> None:
    pruner = Pruner(100, CoveredRandom(), prune_rate=0.8, num_epochs=9, seed=1)
    times = np.zeros(100, dtype=int)
    for epoch in pruner.epochs():
        ids = pruner.plan.ids
        times[ids] += 1
        pruner.loss(torch.from_numpy(ids.copy()), torch.ones(len(ids), requires_grad=True), torch.ones(len(ids)))
        assert times.max() == 1 or epoch >= 5
        assert times.min() == (epoch >= 4)
    assert times.max() > 2  # with RS2's rule it would be 2


@pytest.mark.parametrize("name", INGREDIENTS)
def test_every_ingredient_trains_the_same_number_of_samples(name: str) -> None:
    found = train(DIGITS, "emp", INGREDIENTS[name], 300, "validation")
    assert found["samples_backward"] == 3000  # 10 % of 998, in each of 30 epochs
    assert 0 <= found["value"] <= 1
    extra = (found["proxy_backward"], found["proxy_forward"])
    assert extra == ((3000, 29 * 200) if INGREDIENTS[name].proxy else (0, 0))
    assert (found["never_trained"] == 0) == INGREDIENTS[name].covered


def test_targets_are_the_label_s_at_first_and_then_lean_to_what_was_predicted() -> None:
    ingredient = Ingredient(earlier=0.9)
    training, _ = prepared(spec_of(DIGITS, "random", ingredient, 300, "validation"), DIGITS, ingredient)
    ids = torch.arange(20)
    first = training.task.batch(ids, 0, 0)
    assert torch.equal(first.targets.argmax(1), first.labels)
    assert torch.equal(first.targets.max(1).values, torch.ones(20))
    scores = training.task.forward(first)
    expected = torch.nn.functional.cross_entropy(scores.logits, first.labels, reduction="none")
    assert torch.allclose(scores.loss, expected, atol=1e-6)
    later = training.task.batch(ids, 29, 0)
    labels = torch.nn.functional.one_hot(later.labels, 10)
    assert torch.allclose(later.targets, 0.1 * labels + 0.9 * scores.logits.detach().softmax(1), atol=0.2)
    assert (later.targets.max(1).values < 0.9).all()


def test_the_command_trains_what_is_missing(tmp_path: Path) -> None:
    words = ["report", "--place", "digits-noise", "--ingredients", "none", "coverage first", "--out", str(tmp_path)]
    assert main([*words, "--seeds", "0"]) == 0
    first = json.loads((tmp_path / "runs.json").read_text())
    assert main([*words, "--seeds", "0", "1"]) == 0
    runs = json.loads((tmp_path / "runs.json").read_text())
    assert runs[: len(first)] == first
    assert len(runs) == 2 * len(first) == 2 * 6
    assert table(runs) in (tmp_path / "table.md").read_text()
    assert (tmp_path / "ingredients.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_s_tables_and_figure_are_those_of_its_runs() -> None:
    runs = json.loads((PAGE / "runs.json").read_text())
    seeds = {run["seed"] for run in runs if run["split"] == "test"}
    assert seeds == set(range(len(seeds)))
    assert min(run["seed"] for run in runs if run["split"] == "validation") >= 300
    page = (PAGE / "README.md").read_text()
    assert chosen_table(runs) in page
    assert table(runs) in page
    shown = {axes.get_title(loc="left") for axes in ingredients_figure(runs).axes}
    assert shown == {PLACES[run["place"]].title for run in runs if run["split"] == "test"}
