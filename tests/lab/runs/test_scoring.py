"""A scoring run on real digits, from the first step to the policies of every static label."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from emprune import ArgumentError, IdBatches, Pruner
from emprune.policies.static import StaticScores, StaticSubset
from emprune.scoring.static import el2n, grand
from emprune.scoring.stored import load_scores
from emprune_lab.runs.scoring import ScoringRun, scoring_epochs
from emprune_lab.subsets import static
from emprune_lab.subsets.stored import Cost, Scored, Stored, scores_for

EPOCHS = 4
WRONG = 60  # so many labels are wrong, the first ones


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images[:600]).float().div(8).sub(1)[:, None]
    labels = torch.from_numpy(bunch.target[:600]).long()
    labels[:WRONG] = (labels[:WRONG] + 1) % 10
    return images, labels


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(72, 24), nn.ReLU(),
            nn.Linear(24, 10),
        )  # fmt: skip


class Watched:
    """A plain training loop on all the data, with a scoring run beside it and every step noted."""

    def __init__(self) -> None:
        self.images, self.labels = digits()
        self.model = network()
        self.run = ScoringRun(len(self.labels))
        self.seen: list[tuple[list[int], torch.Tensor]] = []
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        pruner = Pruner(len(self.labels), "full", prune_rate=0.0, num_epochs=EPOCHS)
        for _ in pruner.epochs():
            for ids in IdBatches(pruner, 50):
                logits = self.model(self.images[ids])
                self.run.after_step(ids, logits, self.labels[ids])
                self.seen.append((ids.tolist(), logits.detach()))
                loss = F.cross_entropy(logits, self.labels[ids], reduction="none")
                pruner.loss(ids, loss).backward()
                optimizer.step()
                optimizer.zero_grad()

    def batches(self) -> Any:
        return zip(self.images.split(128), self.labels.split(128), strict=True)

    def finish(self, needs: set[str]) -> Scored:
        return self.run.finish(
            self.model, self.batches(), with_grand="grand" in needs, with_features="features" in needs,
            seconds_training=1.5,
        )  # fmt: skip


@pytest.fixture(scope="module")
def watched() -> Watched:
    return Watched()


@pytest.fixture(scope="module")
def scored(watched: Watched) -> Scored:
    return watched.finish({"grand", "features"})


@pytest.fixture(scope="module")
def stored(scored: Scored, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return scores_for("grand", tmp_path_factory.mktemp("s"), {"seed": 0}, lambda needed: scored)


def test_length_of_the_scoring_run() -> None:
    assert [scoring_epochs(epochs) for epochs in (1, 15, 24, 30, 200)] == [2, 2, 2, 3, 20]


def test_every_column_is_there_for_every_sample(scored: Scored) -> None:
    assert set(scored.columns) == {name.replace("-", "_") for name in static.SCORES}
    for name, column in scored.columns.items():
        assert column.dtype == np.float32, name
        assert column.shape == (600,)
        assert np.isfinite(column).all()
        assert len(np.unique(column)) > 2, name
    assert scored.features is not None
    assert scored.features.shape == (600, 24)


def test_columns_are_the_scores_of_the_trained_model(watched: Watched, scored: Scored) -> None:
    watched.model.eval()
    with torch.no_grad():
        hidden = watched.model[:-1](watched.images)
        logits = watched.model[-1](hidden)
    watched.model.train()
    p = torch.softmax(logits.double(), dim=1)
    highest = p.topk(2, dim=1).values
    length = (hidden.double().square().sum(dim=1) + 1).sqrt()
    error = (p - F.one_hot(watched.labels, 10)).norm(dim=1)
    expected = {
        "el2n": error, "grand_last_layer": error * length, "least_confidence": 1 - highest[:, 0],
        "margin": 1 - highest[:, 0] + highest[:, 1], "entropy": torch.special.entr(p).sum(dim=1),
        "grand": grand(watched.model, watched.images, watched.labels),
    }  # fmt: skip
    for name, values in expected.items():
        np.testing.assert_allclose(scored.columns[name], values.numpy(), atol=1e-5, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(scored.features, hidden.numpy(), atol=1e-5)
    assert watched.model.training


def test_training_dynamics_are_those_of_every_step(watched: Watched, scored: Scored) -> None:
    histories: dict[int, list[bool]] = {i: [] for i in range(600)}
    margins = dict.fromkeys(range(600), 0.0)
    for ids, logits in watched.seen:
        for i, row in zip(ids, logits.double(), strict=True):
            label = int(watched.labels[i])
            histories[i].append(int(row.argmax()) == label)
            p = row.softmax(0).tolist()
            margins[i] += max(p[:label] + p[label + 1 :]) - p[label]
    for i, history in histories.items():
        events = sum(before and not after for before, after in pairwise(history))
        assert scored.columns["forgetting"][i] == (events if any(history) else EPOCHS)
        assert scored.columns["aum"][i] == pytest.approx(margins[i], abs=1e-4)


def test_wrong_labels_are_hard(scored: Scored) -> None:
    for name in ("el2n", "grand", "grand-last-layer", "forgetting", "aum"):
        column = scored.columns[name.replace("-", "_")]
        assert column[:WRONG].mean() > column[WRONG:].mean() + column[WRONG:].std(), name


def test_costs_count_what_went_through_the_model(scored: Scored, stored: Stored) -> None:
    trained = 600 * EPOCHS
    assert (scored.cost.samples_forward, scored.cost.samples_backward) == (trained + 600, trained)
    assert (scored.grand_cost.samples_forward, scored.grand_cost.samples_backward) == (600, 600)
    assert scored.cost.seconds > 1.5
    assert stored.cost("el2n") == scored.cost
    assert stored.cost("grand") == scored.cost + scored.grand_cost == Cost(
        trained + 1200, trained + 600, scored.cost.seconds + scored.grand_cost.seconds
    )  # fmt: skip


@pytest.mark.parametrize("name", static.LABELS)
def test_every_label_trains_one_subset_of_exactly_k(name: str, watched: Watched, stored: Stored) -> None:
    policy = static.policy_for(name, stored, watched.labels.numpy(), k=180, seed=0, settings={})
    pruner = Pruner(600, policy, prune_rate=0.7, num_epochs=3)
    plans = []
    for _ in pruner.epochs():
        plans.append(frozenset(pruner.plan.ids.tolist()))
        ids = torch.from_numpy(pruner.plan.ids.copy())
        pruner.loss(ids, torch.ones(len(ids)))
    assert len(set(plans)) == 1
    assert len(plans[0]) == 180
    if name in static.SCORES:
        column = load_scores(stored.scores_file)[name.replace("-", "_")]
        assert column[list(plans[0])].min() >= np.sort(column)[-180]
        assert isinstance(policy, StaticScores)
    if name in ("herding", "k-center"):
        counts = np.bincount(watched.labels.numpy(), minlength=10) * 0.3
        found = np.bincount(watched.labels[list(plans[0])].numpy(), minlength=10)
        assert (abs(found - counts) < 1).all()
        assert isinstance(policy, StaticSubset)
    assert str(stored.scores_file.parent) not in json.dumps(policy.settings())


def chosen(name: str, stored: Stored, labels: torch.Tensor, **settings: Any) -> set[int]:
    policy = static.policy_for(name, stored, labels.numpy(), k=60, seed=0, settings=settings)
    return set(Pruner(600, policy, prune_rate=0.9, num_epochs=1).plan.ids.tolist())


def test_settings_of_labels_reach_the_rules(watched: Watched, stored: Stored) -> None:
    labels, columns = watched.labels, load_scores(stored.scores_file)
    assert columns["el2n"][list(chosen("el2n", stored, labels, rule="bottom"))].max() < np.median(columns["el2n"])
    by_aum, by_el2n = chosen("ccs", stored, labels), chosen("ccs", stored, labels, scores="el2n", cutoff=0.5)
    assert columns["aum"][list(by_aum)].max() <= np.sort(columns["aum"])[419]
    assert columns["el2n"][list(by_el2n)].max() <= np.sort(columns["el2n"])[299]
    for name, settings in (("moderate", {"center": "mean"}), ("herding", {"per_class": False})):
        assert chosen(name, stored, labels) != chosen(name, stored, labels, **settings)


def test_files_are_shared_and_added_to(watched: Watched, tmp_path: Path) -> None:
    calls: list[set[str]] = []

    def collect(needs: set[str]) -> Scored:
        calls.append(needs)
        scored = watched.finish(needs)
        scored.columns["el2n"] += len(calls)  # a device that does not give the same scores twice
        return scored

    def ask(column: str, seed: int = 0) -> Stored:
        return scores_for(column, tmp_path, {"data": "digits", "seed": seed}, collect)

    first = ask("el2n")
    before = load_scores(first.scores_file)["el2n"]
    assert ask("margin") == ask("aum") == first
    assert len(calls) == 1
    assert "features" not in first.held()
    ask("features")
    assert "features" in calls[1]
    assert "el2n" in calls[1]
    ask("grand")
    assert {"features", "grand"} <= calls[2]
    assert {"features", "grand", "el2n"} <= first.held()
    assert len(calls) == 3
    assert np.array_equal(load_scores(first.scores_file)["el2n"], before)
    assert ask("el2n", seed=1) != first
    assert len(calls) == 4
    assert json.loads(first.about_file.read_text())["identity"] == {"data": "digits", "seed": 0}


@pytest.mark.parametrize("damage", ["no scores", "no features", "half a description", "another description"])
def test_files_that_are_not_whole_are_made_again(damage: str, watched: Watched, tmp_path: Path) -> None:
    calls: list[int] = []

    def collect(needs: set[str]) -> Scored:
        calls.append(1)
        return watched.finish(needs)

    stored = scores_for("features", tmp_path, {}, collect)
    if damage == "no scores":
        stored.scores_file.unlink()
    elif damage == "no features":
        stored.features_file.unlink()
    elif damage == "half a description":
        stored.about_file.write_text(stored.about_file.read_text()[:40])
    else:
        stored.about_file.write_text("[]")
    assert scores_for("features", tmp_path, {}, collect) == stored
    assert len(calls) == 2
    assert chosen("herding", stored, watched.labels)


def test_bad_models_and_batches_are_named(watched: Watched) -> None:
    run = ScoringRun(600)
    with pytest.raises(ArgumentError, match="model is 'Linear'; allowed: a Sequential whose last module is a Linear"):
        run.finish(nn.Linear(3, 3), watched.batches())
    with pytest.raises(ArgumentError, match="model is 'Sequential'"):
        run.finish(watched.model[:-1], watched.batches())
    with pytest.raises(ArgumentError, match="batches is '128 samples'; allowed: all 600 samples"):
        run.finish(watched.model, list(watched.batches())[:1])
    with pytest.raises(ArgumentError, match="batches is '0 samples'"):
        run.finish(watched.model, [])


def test_static_pruning_trains_a_model(watched: Watched, stored: Stored) -> None:
    """The subset is worth something: a fifth of the digits, chosen by class, still teaches all ten."""
    ids = torch.tensor(sorted(chosen("herding", stored, watched.labels)))
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(watched.images[ids]), watched.labels[ids]).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = model(watched.images[WRONG:]).argmax(1) == watched.labels[WRONG:]
        errors = el2n(model(watched.images[WRONG:]), watched.labels[WRONG:])
    assert right.float().mean() > 0.6
    assert errors[right].mean() < errors[~right].mean()
