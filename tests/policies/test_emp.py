"""EMP and LFL: which samples they prefer, and where unseen ones stand."""

from __future__ import annotations

import numpy as np
import pytest
from cases import LOSS, chosen

from emprune import EMP, LFL


def test_lfl_takes_the_highest_losses_and_unseen_samples_first() -> None:
    assert chosen(LFL(), 2) == {4, 5}
    assert chosen(LFL(), 2, np.array([0.1, np.inf, 0.3, 0.4, 0.5, 0.6])) == {1, 5}


def test_emp_adds_beta_times_the_memory_term() -> None:
    memory = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert chosen(EMP(beta=0.0, rule="top"), 1, memory=memory) == {5}
    assert chosen(EMP(beta=0.4, rule="top"), 1, memory=memory) == {5}
    assert chosen(EMP(beta=0.6, rule="top"), 1, memory=memory) == {0}


def test_emp_with_beta_0_and_top_is_lfl() -> None:
    for k in range(1, 6):
        assert chosen(EMP(beta=0.0, rule="top"), k, memory=LOSS[::-1]) == chosen(LFL(), k)


@pytest.mark.parametrize(("unseen", "expected"), [("first", {1, 5}), ("mean", {5, 4})])
def test_emp_places_unseen_samples(unseen: str, expected: set[int]) -> None:
    loss = np.array([0.1, np.inf, 0.3, 0.4, 0.5, 0.6])
    assert chosen(EMP(rule="top", unseen=unseen), 2, loss) == expected


def test_a_score_beyond_float32_is_the_largest_and_not_an_unseen_one() -> None:
    huge = float(np.finfo(np.float32).max)
    loss = np.array([huge, np.inf, 0.3, np.inf, 0.5, 0.6])
    memory = np.array([huge, 0, 0, 0, 0, 0])
    assert chosen(EMP(beta=1e300, rule="top", unseen="first"), 2, loss, memory) == {1, 3}
    assert chosen(EMP(beta=2.0, rule="top", unseen="mean"), 1, loss, memory) == {0}
