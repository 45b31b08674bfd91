"""Numbers as text: signs, intervals, and what stands where there is none."""

from emprune_lab.report.formats import format_difference, format_gap, format_mean, format_ratio, signed
from emprune_lab.report.intervals import Estimate


def estimate(value, low=None, high=None, count=3):
    return Estimate(value, low, high, count)


def test_numbers():
    assert signed(-0.001) == "+0.00"
    assert format_mean(estimate(91.234, 90.0, 92.0)) == "91.23 ± 1.00"
    assert format_mean(estimate(91.234)) == "91.23"
    assert format_difference(estimate(-1.5, -2, 0.25)) == "−1.50 [−2.00, +0.25]"
    assert format_difference(estimate(1.5)) == "+1.50"
    assert format_difference(None) == "–"
    assert format_gap(estimate(0.5, -0.25, 1.5)) == "0.50 [−0.25, 1.50]"
    assert format_gap(estimate(-3.0)) == "(−3.00)"
    assert format_gap(estimate(-3.0, count=1)) == "−3.00"
    assert format_ratio(None) == "–"
