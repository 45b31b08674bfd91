"""Intervals over seeds against scipy, values worked out by hand and naive loops."""

import itertools
import statistics

import numpy as np
import pytest
from scipy.stats import t, ttest_rel

from emprune.errors import ArgumentError
from emprune_lab.report.intervals import gap_closed, mean, paired_difference, resamples


def naive_interval(columns, statistic):
    """Percentiles of a statistic over all resamples of the seeds, by loops."""
    seeds = range(len(columns[0]))
    drawn = []
    for chosen in itertools.product(seeds, repeat=len(columns[0])):
        means = [statistics.fmean(column[seed] for seed in chosen) for column in columns]
        drawn.append(statistic(*means))
    return tuple(np.percentile(drawn, [2.5, 97.5]))


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


def test_student_is_wider_than_the_bootstrap_for_few_seeds():
    values = [90.1, 90.9, 89.7, 90.4, 90.6]
    assert mean(values).half_width > 1.3 * mean(values, "bootstrap").half_width


def test_no_other_interval_is_taken():
    with pytest.raises(ArgumentError, match="interval is 'normal'; allowed: one of student, bootstrap"):
        mean([1.0, 2.0], "normal")


def test_bootstrap_by_hand():
    estimate = mean([90.0, 92.0, 94.0], "bootstrap")
    # Of the 27 resamples one has mean 90 and three have 90 2/3: the 2.5th percentile lies at index 0.65.
    assert estimate.ends == pytest.approx((90 + 0.65 * 2 / 3, 94 - 0.65 * 2 / 3))


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_the_bootstrap_equals_a_naive_loop(count):
    rng = np.random.default_rng(count)
    values, random, full = (rng.normal(centre, 0.5, count) for centre in (92, 90, 97))
    assert mean(values, "bootstrap").ends == pytest.approx(naive_interval([values], lambda a: a))
    difference = paired_difference(values, random, "bootstrap")
    assert difference.value == pytest.approx(statistics.fmean(values) - statistics.fmean(random))
    assert difference.ends == pytest.approx(naive_interval([values, random], lambda a, b: a - b))
    gap = gap_closed(values, random, full)
    assert gap.ends == pytest.approx(naive_interval([values, random, full], lambda a, b, c: (a - b) / (c - b)))


@pytest.mark.parametrize("interval", ["student", "bootstrap"])
def test_pairing_takes_out_what_seeds_share(interval):
    reference = [80.0, 90.0, 85.0]
    difference = paired_difference([value + 1 for value in reference], reference, interval)
    assert (difference.value, difference.low, difference.high, difference.sign) == (1, 1, 1, 1)


def test_many_seeds_are_drawn_and_repeatable():
    assert resamples(7).shape == (10_000, 7)
    np.testing.assert_array_equal(resamples(7), resamples(7))
    values = np.random.default_rng(0).normal(size=100)
    # The bootstrap's standard error against the formula's.
    assert mean(values, "bootstrap").half_width == pytest.approx(1.96 * values.std() / 10, rel=0.05)


@pytest.mark.parametrize("interval", ["student", "bootstrap"])
def test_one_seed_has_no_interval(interval):
    for estimate in (mean([1.0], interval), paired_difference([2.0], [1.0], interval), gap_closed([2.0], [1.0], [3.0])):
        assert (estimate.low, estimate.high, estimate.half_width) == (None, None, None)
        assert estimate.ends == (estimate.value, estimate.value)
        assert estimate.sign == 0


def test_gap_closed_by_hand():
    assert gap_closed([90.0] * 3, [90.0] * 3, [95.0] * 3).value == 0
    assert gap_closed([95.0] * 3, [90.0] * 3, [95.0] * 3).value == 1
    assert gap_closed([92.0, 93.0], [90.0, 91.0], [95.0, 95.0]).value == pytest.approx(2 / 4.5)


def test_gap_closed_needs_a_gap():
    assert gap_closed([90.0, 91.0], [92.0, 92.0], [92.0, 92.0]) is None
    unsure = gap_closed([90.0, 91.0, 92.0], [90.0, 94.0, 92.0], [95.0, 93.0, 94.0])
    assert unsure.value == pytest.approx(-1 / 2)
    assert unsure.low is None  # with seed 1 drawn three times, full lies below random
