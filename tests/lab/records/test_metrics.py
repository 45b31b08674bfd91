"""Metrics by name."""

import pytest

from emprune.errors import ArgumentError
from emprune_lab.records import metrics


def test_an_unknown_measure_is_named():
    with pytest.raises(ArgumentError, match=r"metric is 'luck'; allowed: .*accuracy, f1, matthews, bits per char"):
        metrics.metric_named("luck")
