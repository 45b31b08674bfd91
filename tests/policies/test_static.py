"""Static policies: one subset for the whole run, by naive sorting; what the state records of it; bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import play

from emprune import ArgumentError, Pruner, StateError
from emprune.policies.static import StaticScores, StaticSubset
from emprune.scoring.stored import save_scores
from emprune.seeding import generator
from emprune.selection.coresets import ccs

SCORES = np.array([0.1, 0.9, 0.3, 0.7, 0.5, 0.2, 0.8, 0.4, 0.6, 0.0], dtype=np.float32)


def subsets(policy: Any, num_samples: int = 10, rate: float = 0.7, seed: int = 0, **settings: Any) -> list[list[int]]:
    """What each epoch trained, in order."""
    pruner = Pruner(num_samples, policy, prune_rate=rate, num_epochs=6, seed=seed, **settings)
    epochs: list[list[int]] = [[] for _ in range(6)]
    for epoch, ids, weights in play(pruner, batch_size=4):
        epochs[epoch] += ids
        assert set(weights) == {1.0}
    return epochs


@pytest.mark.parametrize(("rule", "expected"), [("top", {1, 6, 3}), ("bottom", {9, 0, 5})])
def test_every_epoch_trains_the_same_subset_in_another_order(rule: str, expected: set[int]) -> None:
    epochs = subsets(StaticScores(SCORES, rule))
    assert all(len(ids) == 3 and set(ids) == expected for ids in epochs)
    assert len({tuple(ids) for ids in epochs}) > 1


def test_equal_scores_are_drawn_once_a_run() -> None:
    by_seed = [subsets(StaticScores(np.zeros(10)), seed=seed) for seed in range(20)]
    assert all(len({frozenset(ids) for ids in epochs}) == 1 for epochs in by_seed)
    assert len({frozenset(epochs[0]) for epochs in by_seed}) > 5


def test_ccs_leaves_out_the_hardest_and_is_the_coreset_of_that_name() -> None:
    scores = np.random.default_rng(0).gamma(0.5, size=200)
    policy = StaticScores(scores, "ccs", cutoff=0.2, strata=7)
    pruner = Pruner(200, policy, prune_rate=0.7, num_epochs=6, seed=3)
    found = {frozenset(pruner.plan.ids.tolist()) for _ in play(pruner)}
    assert len(found) == 1
    (ids,) = found
    assert len(ids) == 60
    assert not ids & set(np.argsort(scores)[160:].tolist())
    same = ccs(scores.astype(np.float32), 60, generator(3, -1, "select"), cutoff=0.2, strata=7)
    assert ids == set(same.tolist())


def test_subset_trains_its_first_ids() -> None:
    epochs = subsets(StaticSubset([7, 2, 9, 4, 1], origin="by hand"))
    assert all(len(ids) == 3 and set(ids) == {7, 2, 9} for ids in epochs)


@pytest.mark.parametrize("policy", [StaticScores(SCORES), StaticSubset([1, 6, 3, 8, 4])])
def test_annealing_and_an_exact_budget_keep_the_subset(policy: Any) -> None:
    epochs = subsets(policy, anneal=0.2, budget="run", rate=0.65)
    sizes = [len(ids) for ids in epochs]
    assert sum(sizes) == round(0.35 * 60)
    assert sizes[-1] == 10
    for ids in epochs[:-1]:
        assert set(ids) <= {1, 6, 3, 8}


def test_scores_of_a_file_are_those_of_an_array(tmp_path: Path) -> None:
    path = save_scores(tmp_path / "scores.npz", el2n=SCORES, margin=1 - SCORES)
    assert set(subsets(StaticScores(path, column="el2n"))[0]) == {1, 6, 3}
    assert set(subsets(StaticScores(str(path), column="margin"))[0]) == {9, 0, 5}
    alone = save_scores(tmp_path / "alone.npz", el2n=SCORES)
    assert set(subsets(StaticScores(alone))[0]) == {1, 6, 3}


def test_settings_are_json_and_name_the_scores_by_digest(tmp_path: Path) -> None:
    path = save_scores(tmp_path / "scores.npz", el2n=SCORES)
    from_file, from_array = StaticScores(path).settings(), StaticScores(SCORES.tolist()).settings()
    assert json.loads(json.dumps(from_file)) == from_file
    assert from_file["scores"] == from_array["scores"] != StaticScores(1 - SCORES).settings()["scores"]
    assert from_file["file"] == "scores.npz"
    assert str(tmp_path) not in json.dumps(from_file)
    with_cut = StaticScores(SCORES, "ccs", cutoff=0.1).settings()
    assert (with_cut["cutoff"], with_cut["strata"]) == (0.1, 50)
    subset = StaticSubset(np.array([3, 1]), origin="herding").settings()
    assert json.loads(json.dumps(subset)) == subset
    assert subset["count"] == 2
    assert subset["ids"] != StaticSubset([1, 3], origin="herding").settings()["ids"]
    assert repr(StaticSubset([1])).startswith("StaticSubset(ids='")


def test_a_state_goes_on_with_the_same_scores_and_with_no_others(tmp_path: Path) -> None:
    def pruner(scores: Any) -> Pruner:
        return Pruner(10, StaticScores(scores), prune_rate=0.7, num_epochs=4)

    first = pruner(save_scores(tmp_path / "scores.npz", el2n=SCORES))
    first.loss(torch.from_numpy(first.plan.ids.copy()), torch.ones(3))
    first.end_epoch()
    state = first.state_dict()
    (tmp_path / "moved").mkdir()
    moved = pruner(save_scores(tmp_path / "moved" / "scores.npz", el2n=SCORES))
    moved.load_state_dict(state)
    assert moved.plan == first.plan
    with pytest.raises(StateError, match="policy_settings"):
        pruner(save_scores(tmp_path / "moved" / "scores.npz", el2n=1 - SCORES)).load_state_dict(state)


def test_a_caller_who_changes_the_array_later_changes_nothing() -> None:
    scores, ids = SCORES.copy(), np.array([1, 2, 3])
    by_scores, by_ids = StaticScores(scores), StaticSubset(ids)
    scores[:] = -scores
    ids[:] = 9
    assert set(subsets(by_scores)[0]) == {1, 6, 3}
    assert set(subsets(by_ids)[0]) == {1, 2, 3}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: StaticScores(SCORES, "best"), "rule is 'best'; allowed: one of top, bottom, ccs"),
        (lambda: StaticScores(SCORES, "ccs", cutoff=1), r"cutoff is 1; allowed: a number in \[0, 1\)"),
        (lambda: StaticScores(SCORES, strata=0), "strata is 0"),
        (lambda: StaticScores([[1.0]]), r"scores is 'float64 of shape \(1, 1\)'; allowed: numbers of shape \[N\]"),
        (lambda: StaticScores([]), "scores is .*at least one"),
        (lambda: StaticScores(["a"]), "scores is '<U1"),
        (
            lambda: StaticScores([1.0, np.nan, np.inf, 2.0]),
            r"scores is 'NaN or infinite for 2 sample\(s\), ids 1, 2'; allowed: finite numbers",
        ),
        (lambda: StaticScores("nowhere.npz"), "scores is 'nowhere.npz'; allowed: an existing .npz file"),
        (lambda: StaticSubset([]), "ids is 'float64 of shape"),
        (lambda: StaticSubset([0.5]), "ids is 'float64 of shape"),
        (lambda: StaticSubset([[1]]), "ids is 'int64 of shape"),
        (lambda: StaticSubset([1, -2]), "ids is '-2 among others'; allowed: dataset positions, from 0"),
        (lambda: StaticSubset([1, 2, 1]), "ids is 'a list with 1 repeated ids'; allowed: distinct"),
        (lambda: subsets(StaticScores(SCORES), 11), "scores is 'of 10 samples'; allowed: .*the pruner's 11 samples"),
        (lambda: subsets(StaticScores(SCORES, "ccs", cutoff=0.8)), "cutoff is 0.8; allowed: at most 0.7 where 3 of 10"),
        (lambda: subsets(StaticSubset([1, 2])), "ids is 'a list of 2'; allowed: at least 3, which this epoch keeps"),
        (lambda: subsets(StaticSubset([1, 2, 10])), "ids is '10 among others'; allowed: dataset positions from 0 to 9"),
    ],
)
def test_bad_settings_are_named(build: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build()


def test_an_unknown_column_is_named(tmp_path: Path) -> None:
    path = save_scores(tmp_path / "scores.npz", a=SCORES, b=SCORES)
    for column in (None, "c"):
        with pytest.raises(ArgumentError, match=f"column is {column!r}; allowed: one of a, b, which .*scores.npz"):
            StaticScores(path, column=column)
