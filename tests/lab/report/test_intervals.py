"""Intervals over seeds against scipy, values worked out by hand, and the coverage that they claim."""

import statistics

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import t, ttest_1samp, ttest_rel

from emprune_lab.report.intervals import fieller, gap_closed, mean, paired_difference


def test_student_by_hand():
    # s = 2, and Student's t has 4.3027 at 97.5 % with two degrees of freedom.
    estimate = mean([90.0, 92.0, 94.0])
    assert (estimate.value, estimate.count) == (92, 3)
    assert estimate.half_width == pytest.approx(4.30265 * 2 / 3**0.5, rel=1e-5)
    assert sum(estimate.ends) / 2 == pytest.approx(92)


@pytest.mark.parametrize("count", [2, 3, 5, 30])
def test_student_equals_scipy(count):
    rng = np.random.default_rng(count)
    values, reference = rng.normal(92, 0.5, count), rng.normal(90, 0.5, count)
    expected = t.interval(0.95, count - 1, values.mean(), values.std(ddof=1) / count**0.5)
    assert mean(values).ends == pytest.approx(expected)
    paired = ttest_rel(values, reference).confidence_interval(0.95)
    assert paired_difference(values, reference).ends == pytest.approx((paired.low, paired.high))


def test_pairing_takes_out_what_seeds_share():
    reference = [80.0, 90.0, 85.0]
    difference = paired_difference([81.0, 91.0, 86.5], reference)
    assert difference.value == pytest.approx(3.5 / 3)
    assert difference.half_width < 1
    assert difference.sign == 1


def test_seeds_that_agree_to_the_last_digit_have_no_interval():
    for estimate in (mean([91.5, 91.5]), paired_difference([80.1, 90.1, 85.1], [80.0, 90.0, 85.0])):
        assert (estimate.low, estimate.sign) == (None, 0)


def test_one_seed_has_no_interval():
    for estimate in (mean([1.0]), paired_difference([2.0], [1.0]), gap_closed([2.0], [1.0], [3.0])):
        assert (estimate.low, estimate.high, estimate.half_width) == (None, None, None)
        assert estimate.ends == (estimate.value, estimate.value)
        assert estimate.sign == 0


def test_gap_closed_by_hand():
    assert gap_closed([90.0] * 3, [90.0] * 3, [95.0] * 3).value == 0
    assert gap_closed([95.0] * 3, [90.0] * 3, [95.0] * 3).value == 1
    assert gap_closed([92.0, 93.0], [90.0, 91.0], [95.0, 95.0]).value == pytest.approx(2 / 4.5)


def test_gap_closed_needs_a_gap_that_is_significant_and_four_seeds():
    assert gap_closed([90.0, 91.0], [92.0, 92.0], [92.0, 92.0]) is None
    unsure = gap_closed([90.0, 91.0, 92.0, 90.0], [90.0, 94.0, 92.0, 91.0], [95.0, 93.0, 94.0, 91.5])
    assert unsure.value == pytest.approx(-1 / 1.625)
    assert unsure.low is None
    values, random, full = [91.0, 91.2, 91.1, 91.3], [90.0, 90.1, 90.0, 90.2], [95.0, 95.1, 95.3, 95.0]
    assert gap_closed(values, random, full).low is not None
    assert gap_closed(values[:3], random[:3], full[:3]).low is None


@pytest.mark.parametrize("count", [2, 3, 5, 30])
def test_fieller_is_where_the_difference_becomes_significant(count):
    rng = np.random.default_rng(count)
    below = rng.normal(5, 0.2, count)
    above = 0.4 * below + rng.normal(0, 0.1, count)
    low, high = fieller(above, below)

    def p_value(ratio):
        return ttest_1samp(above - ratio * below, 0).pvalue - 0.05

    middle = statistics.fmean(above) / statistics.fmean(below)
    assert low == pytest.approx(brentq(p_value, middle - 30, middle), abs=1e-6)
    assert high == pytest.approx(brentq(p_value, middle, middle + 30), abs=1e-6)


# Value, random and full of EMP on Fashion-MNIST at 0.7 (clean) and on digits at 0.7, in the spreads that were measured.
MEANS = {"clear gap": (88.6, 87.7, 89.6), "small gap": (97.2, 96.9, 97.5)}
SPREADS = {"clear gap": (0.2, 0.3, 0.25), "small gap": (0.35, 0.4, 0.3)}
DRAWN = 3000


def covered(kind, count, statistic, truth):
    """Of the intervals shown, the part that holds the truth, and how many were shown."""
    rng = np.random.default_rng(7)
    shared = rng.normal(0, 0.2, (DRAWN, count, 1))
    seeds = np.array(MEANS[kind]) + shared + rng.normal(0, 1, (DRAWN, count, 3)) * SPREADS[kind]
    found = [statistic(*columns) for columns in seeds.transpose(0, 2, 1)]
    shown = [one for one in found if one is not None and one.low is not None]
    return np.mean([one.low <= truth <= one.high for one in shown]) if shown else None, len(shown)


@pytest.mark.parametrize("kind", MEANS)
@pytest.mark.parametrize("count", [2, 3, 5])
def test_every_interval_shown_holds_in_95_percent(kind, count):
    value, random, full = MEANS[kind]
    assert 0.93 < covered(kind, count, lambda v, r, f: mean(v), value)[0] < 0.97
    assert 0.93 < covered(kind, count, lambda v, r, f: paired_difference(v, r), value - random)[0] < 0.97
    part, shown = covered(kind, count, gap_closed, (value - random) / (full - random))
    assert (0.93 < part < 0.97) if count == 5 else shown == 0
