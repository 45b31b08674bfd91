"""Statistics against values worked out by hand and against naive loops."""

import dataclasses
import itertools
import statistics

import numpy as np
import pytest
from made_results import comparison, made

from emprune.errors import ArgumentError
from emprune.lab.recipe import recipe_for
from emprune.lab.reporting.bootstrap import gap_closed, mean, paired_difference, resamples
from emprune.lab.reporting.statistics import by_cell, by_setting, check_budgets, summarise


def naive_interval(columns, statistic):
    """Percentiles of a statistic over all resamples of the seeds, by loops."""
    seeds = range(len(columns[0]))
    drawn = []
    for chosen in itertools.product(seeds, repeat=len(columns[0])):
        means = [statistics.fmean(column[seed] for seed in chosen) for column in columns]
        drawn.append(statistic(*means))
    return tuple(np.percentile(drawn, [2.5, 97.5]))


def row_of(rows, policy, rate):
    (row,) = [row for row in rows if (row.policy, row.prune_rate) == (policy, rate)]
    return row


def test_mean_by_hand():
    estimate = mean([90.0, 92.0, 94.0])
    assert estimate.value == 92
    assert estimate.spread == 2
    assert estimate.count == 3
    # Of the 27 resamples one has mean 90 and three have 90 2/3: the 2.5th percentile lies at index 0.65.
    assert estimate.low == pytest.approx(90 + 0.65 * 2 / 3)
    assert estimate.high == pytest.approx(94 - 0.65 * 2 / 3)
    assert estimate.half_width == pytest.approx(2 - 0.65 * 2 / 3)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_intervals_equal_a_naive_loop(count):
    rng = np.random.default_rng(count)
    values, random, full = (rng.normal(centre, 0.5, count) for centre in (92, 90, 97))
    estimate = mean(values)
    assert (estimate.low, estimate.high) == pytest.approx(naive_interval([values], lambda a: a))
    difference = paired_difference(values, random)
    assert difference.value == pytest.approx(statistics.fmean(values) - statistics.fmean(random))
    assert (difference.low, difference.high) == pytest.approx(naive_interval([values, random], lambda a, b: a - b))
    gap = gap_closed(values, random, full)
    assert (gap.low, gap.high) == pytest.approx(
        naive_interval([values, random, full], lambda a, b, c: (a - b) / (c - b))
    )


def test_pairing_takes_out_what_seeds_share():
    reference = [80.0, 90.0, 85.0]
    difference = paired_difference([value + 1 for value in reference], reference)
    assert (difference.value, difference.low, difference.high, difference.spread) == (1, 1, 1, 0)
    assert difference.sign == 1


def test_many_seeds_are_drawn_and_repeatable():
    assert resamples(7).shape == (10_000, 7)
    np.testing.assert_array_equal(resamples(7), resamples(7))
    values = np.random.default_rng(0).normal(size=100)
    estimate = mean(values)
    # The bootstrap's standard error against the formula's.
    assert estimate.half_width == pytest.approx(1.96 * values.std() / 10, rel=0.05)


def test_one_seed_has_no_interval():
    for estimate in (mean([1.0]), paired_difference([2.0], [1.0]), gap_closed([2.0], [1.0], [3.0])):
        assert (estimate.low, estimate.high, estimate.half_width, estimate.spread) == (None, None, None, None)
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


def test_rows_by_hand():
    rows = summarise(comparison())
    assert [(row.policy, row.prune_rate) for row in rows] == [
        ("full", 0), ("random", 0.7), ("lfl", 0.7), ("emp", 0.7), ("random", 0.9), ("emp", 0.9),
    ]  # fmt: skip
    emp = row_of(rows, "emp", 0.7)
    assert emp.accuracy.value == pytest.approx(280 / 3)
    assert emp.difference.value == pytest.approx(7 / 3)
    assert emp.gap_closed.value == pytest.approx((7 / 3) / 5)
    assert emp.remembered.value == pytest.approx(91)
    assert emp.remembered_true.value == pytest.approx(80)
    assert (emp.seeds, emp.samples_backward, emp.optimizer_steps) == ((0, 1, 2), 900, 90)
    assert (emp.seconds_train, emp.seconds_select, emp.seconds_total) == pytest.approx((4, 0.01, 4))
    assert row_of(rows, "lfl", 0.7).difference.sign == -1
    assert row_of(rows, "emp", 0.9).difference.sign == 0
    full = row_of(rows, "full", 0)
    assert (full.difference, full.gap_closed) == (None, None)


def test_differences_pair_by_seed_and_not_by_position():
    results = comparison()
    rows = summarise(results[::-1])
    assert row_of(rows, "emp", 0.7).difference == row_of(summarise(results), "emp", 0.7).difference
    without = [run for run in results if (run.policy, run.prune_rate, run.seed) != ("random", 0.7, 0)]
    difference = row_of(summarise(without), "emp", 0.7).difference
    assert difference.count == 2
    assert difference.value == pytest.approx((3 + 1) / 2)


def test_no_reference_no_difference():
    rows = summarise([run for run in comparison() if run.policy != "random"])
    assert all(row.difference is None and row.gap_closed is None for row in rows)
    without_full = summarise([run for run in comparison() if run.policy != "full"])
    emp = row_of(without_full, "emp", 0.7)
    assert emp.difference is not None
    assert emp.gap_closed is None


def test_another_reference():
    rows = summarise(comparison(), reference="lfl")
    assert row_of(rows, "emp", 0.7).difference.value == pytest.approx(13 / 3)


def test_settings_stay_apart():
    recipe = dataclasses.asdict(dataclasses.replace(recipe_for("digits"), epochs=7))
    results = [*comparison(), *comparison(label_noise=0.2), made(recipe=recipe, run_id="other")]
    settings = by_setting(results)
    assert sorted(len(runs) for runs in settings.values()) == [1, 18, 18]
    noises = {row.setting.label_noise for row in summarise(results)}
    assert noises == {0.0, 0.2}


def test_a_run_listed_twice_counts_once():
    results = comparison()
    assert summarise(results + results) == summarise(results)


def test_cells_hold_seeds_in_order():
    cells = by_cell(comparison()[::-1])
    assert next(iter(cells)) == ("full", 0.0)
    assert list(cells["emp", 0.9]) == [0, 1, 2]


def test_different_budgets_are_refused():
    results = [*comparison(), made("infobatch", 0.7, 0, samples_backward=1000)]
    with pytest.raises(ArgumentError, match=r"infobatch.*is 1000; allowed: 900, as random") as caught:
        check_budgets(results)
    assert caught.value.value == 1000
    with pytest.raises(ArgumentError, match="infobatch"):
        summarise(results)


def test_budgets_may_differ_between_rates_and_settings():
    check_budgets([*comparison(), made(label_noise=0.2, samples_backward=1)])
