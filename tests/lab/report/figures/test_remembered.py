"""What is right by how often it was trained: against a naive loop."""

import dataclasses

import numpy as np
import pytest
from made_results import texts
from made_samples import samples, shown

from emprune_lab.report.figures import remembered
from emprune_lab.report.figures.remembered import by_count, share_right


def test_by_count_equals_a_naive_loop():
    one, other = samples(seed=1, noise=0.3), samples(seed=2)
    number, percent = by_count([one, other], width=4)
    for bin_number in range(len(number)):
        right = [
            bool(every.correct[i])
            for every in (one, other)
            for i in range(200)
            if every.times_trained[i] // 4 == bin_number and not every.mislabelled[i]
        ]
        assert number[bin_number] == len(right)
        assert percent[bin_number] == pytest.approx(100 * sum(right) / len(right))


def test_by_count_has_no_percentage_where_there_is_no_sample():
    arrays = samples(3)
    arrays.times_trained[:] = [0, 0, 2]
    number, percent = by_count([arrays], 1)
    assert number.tolist() == [2, 0, 1]
    assert np.isnan(percent[1])


def test_share_right():
    arrays = samples(4)
    arrays.correct[:] = [True, False, True, True]
    assert share_right([arrays], mislabelled=False) == 75
    assert share_right([arrays], mislabelled=True) is None
    halves = dataclasses.replace(arrays, correct=arrays.correct / 2)  # one view of two
    figure = remembered.draw(shown({("lfl", 0.7): [halves]}))
    assert " 37.5" in texts(figure)
