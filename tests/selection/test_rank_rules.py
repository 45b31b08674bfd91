"""The rules on the rows of several ranks select what they select on one table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from thread_world import on_all_ranks

from emprune.distributed import RankSlice, World
from emprune.errors import ArgumentError
from emprune.selection import Selection
from emprune.selection.rank_rules import RankRules

N, K = 60, 25
SCORES = np.random.default_rng(0).integers(0, 9, N).astype(np.float32)  # with ties
SCORES[[3, 30, 59]] = np.inf, np.nan, np.nan

Rule = Callable[[RankRules, np.ndarray], Selection]
RULES: dict[str, Rule] = {
    "uniform": lambda rules, scores: rules.uniform(),
    "top": lambda rules, scores: rules.top(scores),
    "sample": lambda rules, scores: rules.sample(scores, gamma=2.0),
    "sample below zero": lambda rules, scores: rules.sample(scores - 5, gamma=2.0),
    "threshold": lambda rules, scores: rules.threshold(scores),
    "threshold_published": lambda rules, scores: rules.threshold_published(scores, 0.5),
}


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("name", RULES)
def test_ranks_together_select_what_one_would(name: str, size: int) -> None:
    def weights(world: World) -> np.ndarray:
        """By row, NaN for what is not selected."""
        owned = RankSlice.of(N, world)
        rules = RankRules(owned, K, np.random.Generator(np.random.SFC64(5)))
        selection = RULES[name](rules, SCORES[owned.begin : owned.end])
        found = np.full(owned.size, np.nan, dtype=np.float32)
        found[selection.ids] = 1 if selection.weights is None else selection.weights
        return found

    (expected,) = on_all_ranks(weights, 1)
    assert np.count_nonzero(~np.isnan(expected)) == K or name == "threshold_published"
    np.testing.assert_array_equal(np.concatenate(on_all_ranks(weights, size)), expected)


def test_scores_of_another_number_of_rows_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"scores is 'of shape \(3,\)'; allowed: one score a sample, shape \[4\]"):
        RankRules(RankSlice.whole(4), 2, np.random.default_rng(0)).top(np.ones(3, dtype=np.float32))
