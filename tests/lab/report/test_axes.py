"""Axes: labels keep their distance, and limits fit the way that a metric runs."""

import numpy as np
import pytest

from emprune_lab.records.metrics import METRICS
from emprune_lab.report.axes import metric_limits, spread_apart
from emprune_lab.report.intervals import Estimate


def test_labels_keep_their_distance_and_their_order():
    placed = spread_apart([0.97, 0.96, 0.5, 0.95], gap=0.1, low=0, high=1)
    assert sorted(placed, reverse=True) == [placed[0], placed[1], placed[3], placed[2]]
    assert np.diff(sorted(placed)).min() >= 0.1 - 1e-9
    assert max(placed) <= 1
    assert spread_apart([0.2, 0.9], gap=0.1, low=0, high=1) == pytest.approx([0.2, 0.9])
    assert spread_apart([-1, -1], gap=0.1, low=0, high=1) == pytest.approx([0, 0.1])


def test_an_axis_mirrors_that_of_the_opposite_metric():
    estimates = [Estimate(value, value - 0.01, value + 0.02, 3) for value in (1.5, 1.6, 1.7)]
    low, high = metric_limits(estimates, METRICS["bits per character"])
    assert low < 1.49
    assert 1.72 < high < 1.9
