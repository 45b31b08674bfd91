"""Rank correlation and its bootstrap, against scipy on the resamples written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from studies.memorization.ranks import Bootstrap, interval, partial, spearman, weighted_ranks


def columns(size, seed, ties):
    rng = np.random.default_rng(seed)
    one = rng.normal(size=size)
    other = 0.5 * one + rng.normal(size=size)
    return (one.round(0), other.round(1)) if ties else (one, other)


cases = st.builds(columns, st.integers(4, 40), st.integers(0, 2**32), st.booleans())


@given(cases)
def test_ranks_in_a_resample_are_those_of_the_sample_written_out(case):
    values, _ = case
    bootstrap = Bootstrap.of(len(values), 1, draws=3)
    for counts, found in zip(bootstrap.counts, weighted_ranks(values, bootstrap.counts), strict=True):
        written_out = np.repeat(values, counts.astype(int))
        expected = stats.rankdata(written_out)
        np.testing.assert_allclose(np.repeat(found, counts.astype(int)), expected)


@given(cases)
def test_spearman_of_every_resample_equals_scipys(case):
    one, other = case
    bootstrap = Bootstrap.of(len(one), 1, draws=5)
    found = bootstrap.correlation(bootstrap.standardised(one), bootstrap.standardised(other))
    assert (bootstrap.counts.sum(axis=1) == len(one)).all()
    assert (bootstrap.counts[0] == 1).all()
    for counts, value in zip(bootstrap.counts.astype(int), found, strict=True):
        left, right = np.repeat(one, counts), np.repeat(other, counts)
        if len(set(left)) == 1 or len(set(right)) == 1:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(stats.spearmanr(left, right).statistic, abs=1e-9)


def test_spearman_of_a_constant_is_not_a_number():
    assert np.isnan(spearman(np.zeros(5), np.arange(5)))


def test_partial_is_the_correlation_of_what_the_third_leaves():
    rng = np.random.default_rng(0)
    third = rng.normal(size=500)
    one, other = third + rng.normal(size=500), 0.7 * third + rng.normal(size=500)
    one_left, other_left = (column - third * (column @ third) / (third @ third) for column in (one, other))
    # Exact for columns around zero.
    pairs = [(one, other), (one, third), (other, third)]
    without_mean = [a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in pairs]
    expected = one_left @ other_left / np.sqrt((one_left @ one_left) * (other_left @ other_left))
    assert partial(*map(np.array, without_mean)) == pytest.approx(expected)


def test_interval_over_seeds_equals_a_naive_loop_and_leaves_row_0_as_it_is():
    rng = np.random.default_rng(1)
    by_seed = [rng.normal(size=41) for _ in range(3)]
    bootstrap = Bootstrap.of(50, 3, draws=40)
    assert bootstrap.seeds[0].tolist() == [0, 1, 2]
    means = [np.mean([by_seed[seed][row] for seed in bootstrap.seeds[row]]) for row in range(41)]
    found = bootstrap.over_seeds(by_seed)
    assert found.value == pytest.approx(np.mean([column[0] for column in by_seed]))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means[1:], [0.025, 0.975])))


def test_interval_covers_the_truth_about_as_often_as_it_says():
    """Spearman's coefficient of a bivariate normal is (6/π)·arcsin(ρ/2); a fixed set of 60 data sets."""
    truth = 6 / np.pi * np.arcsin(0.6 / 2)
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        one = rng.normal(size=150)
        other = 0.6 * one + 0.8 * rng.normal(size=150)
        bootstrap = Bootstrap.of(150, 1)
        found = interval(bootstrap.correlation(bootstrap.standardised(one), bootstrap.standardised(other)))
        covered += found.low <= truth <= found.high
    assert 52 <= covered < 60


def test_an_interval_of_what_is_not_a_number_is_none():
    assert all(np.isnan(value) for value in interval(np.array([np.nan, 0.5, 0.4])))
