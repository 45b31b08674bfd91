"""Rows: who is compared with whom, in which setting, against values worked out by hand."""

import pytest
from made_results import comparison, made_own

from emprune.errors import ArgumentError
from emprune_lab.report.statistics import by_cell, summarise


def row_of(rows, policy, rate):
    (row,) = [row for row in rows if (row.policy, row.prune_rate) == (policy, rate)]
    return row


def test_rows_by_hand():
    rows = summarise(comparison())
    assert [(row.policy, row.prune_rate) for row in rows] == [
        ("full", 0), ("random", 0.7), ("lfl", 0.7), ("emp", 0.7), ("random", 0.9), ("emp", 0.9),
    ]  # fmt: skip
    emp = row_of(rows, "emp", 0.7)
    assert emp.mean.value == pytest.approx(282.4 / 3)
    assert emp.difference.value == pytest.approx((3 + 3.2 + 3.2) / 3)
    assert emp.gap_closed.value == pytest.approx((9.4 / 3) / 5)
    assert emp.remembered.value == pytest.approx(91)
    assert emp.remembered_true.value == pytest.approx(80)
    assert (emp.seeds, emp.reference, emp.own_budget) == ((0, 1, 2), "random", False)
    assert emp.difference.sign == 1
    assert row_of(rows, "lfl", 0.7).difference.sign == -1
    assert row_of(rows, "emp", 0.9).difference.sign == 0
    full = row_of(rows, "full", 0)
    assert (full.difference, full.gap_closed, full.ranked) == (None, None, False)


def test_differences_pair_by_seed_and_not_by_position():
    results = comparison()
    rows = summarise(results[::-1])
    assert row_of(rows, "emp", 0.7).difference == row_of(summarise(results), "emp", 0.7).difference
    without = [run for run in results if (run.policy, run.prune_rate, run.seed) != ("random", 0.7, 0)]
    difference = row_of(summarise(without), "emp", 0.7).difference
    assert difference.count == 2
    assert difference.value == pytest.approx(3.2)


def test_no_reference_no_difference():
    rows = summarise([run for run in comparison() if run.policy != "random"])
    assert all(row.difference is None and row.gap_closed is None for row in rows)
    without_full = summarise([run for run in comparison() if run.policy != "full"])
    emp = row_of(without_full, "emp", 0.7)
    assert emp.difference is not None
    assert emp.gap_closed is None


def test_another_reference():
    rows = summarise(comparison(), reference="lfl")
    emp = row_of(rows, "emp", 0.7)
    assert emp.difference.value == pytest.approx((5 + 5.3 + 5.3) / 3)
    assert row_of(rows, "lfl", 0.7).difference is None
    assert row_of(rows, "emp", 0.9).difference is None  # lfl was not run there
    assert row_of(rows, "random", 0.7).difference.value == pytest.approx(
        -row_of(summarise(comparison()), "lfl", 0.7).difference.value
    )
    # The gap is that between random and full, whatever else is the reference.
    assert emp.gap_closed == row_of(summarise(comparison()), "emp", 0.7).gap_closed


def test_full_as_reference_is_that_of_every_rate():
    rows = summarise(comparison(), reference="full")
    assert row_of(rows, "random", 0.9).difference.value == pytest.approx(82 - 96)
    assert row_of(rows, "emp", 0.7).difference.value == pytest.approx(282.4 / 3 - 96)


def test_a_reference_must_be_there_and_have_the_common_budget():
    with pytest.raises(ArgumentError, match=r"reference is 'ucb'; allowed: .*full, random, lfl, emp"):
        summarise(comparison(), reference="ucb")
    results = [*comparison(), made_own("kakurenbo", 0.7, 0), made_own("infobatch-published", 0.7, 0)]
    with pytest.raises(ArgumentError, match="infobatch-published decides itself") as caught:
        summarise(results, reference="infobatch-published")
    assert "infobatch-published" not in str(caught.value).partition("allowed: ")[2].partition(".")[0]


def test_a_budget_of_its_own_is_compared_with_nothing():
    rows = summarise([*comparison(), made_own("infobatch-published", 0.7, 0, samples=1500)])
    own = row_of(rows, "infobatch-published", 0.7)
    assert (own.own_budget, own.ranked, own.difference, own.gap_closed) == (True, False, None, None)
    assert (own.cost.samples_backward, own.cost.realised_rate) == (1500, 0.5)
    others = [row for row in rows if not row.own_budget]
    assert others == summarise(comparison())


def test_a_run_listed_twice_counts_once():
    results = comparison()
    assert summarise(results + results) == summarise(results)


def test_cells_hold_seeds_in_order():
    cells = by_cell(comparison()[::-1])
    assert next(iter(cells)) == ("full", 0.0)
    assert list(cells["emp", 0.9]) == [0, 1, 2]
