"""Budgets are exact integers, known before training starts."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emprune import ArgumentError, Pruner
from emprune.epoch.schedule import kept_count, kept_per_epoch


@settings(max_examples=1000)
@given(st.integers(1, 10**7), st.integers(0, 999))
def test_kept_count_is_the_rounded_share_in_exact_arithmetic(num_samples: int, thousandths: int) -> None:
    share = num_samples * (1 - Fraction(thousandths, 1000))
    expected = int(share + Fraction(1, 2))  # halves up
    if expected == 0:
        with pytest.raises(ArgumentError, match="keeps no sample"):
            kept_count(num_samples, thousandths / 1000)
    else:
        assert kept_count(num_samples, thousandths / 1000) == expected


@pytest.mark.parametrize(("size", "rate", "kept"), [(10, 0.95, 1), (5, 0.5, 3), (50_000, 0.9, 5000), (1, 0.0, 1)])
def test_kept_count_by_hand(size: int, rate: float, kept: int) -> None:
    assert kept_count(size, rate) == kept


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan"), float("inf"), "0.5", None, True])
def test_a_rate_outside_0_1_is_refused(rate: object) -> None:
    with pytest.raises(ArgumentError) as caught:
        Pruner(100, "random", prune_rate=rate, num_epochs=1)
    assert "prune_rate" in str(caught.value)
    assert repr(rate) in str(caught.value)
    assert "[0, 1)" in str(caught.value)


def test_a_rate_that_keeps_no_sample_says_which_would() -> None:
    with pytest.raises(ArgumentError, match=r"prune_rate is 0\.96; allowed: at most 0\.9 for 10 samples.*no sample"):
        kept_count(10, 0.96)


@settings(max_examples=600)
@given(
    size=st.integers(1, 5000), epochs=st.integers(1, 60), percent=st.integers(0, 95),
    warmup=st.integers(0, 8), anneal=st.sampled_from([0.0, 0.125, 0.3]),
)  # fmt: skip
def test_a_run_budget_is_met_to_the_sample(size: int, epochs: int, percent: int, warmup: int, anneal: float) -> None:
    total = int(size * epochs * (1 - Fraction(percent, 100)) + Fraction(1, 2))
    full = warmup + int(anneal * epochs + 0.5)
    options = {"warmup_epochs": warmup, "anneal": anneal, "budget": "run"}
    left = total - full * size
    pruned = epochs - full
    one_epoch_keeps_a_sample = int(size * (1 - Fraction(percent, 100)) + Fraction(1, 2)) >= 1
    if pruned < 0 or not pruned <= left <= pruned * size or not one_epoch_keeps_a_sample:
        with pytest.raises(ArgumentError):
            kept_per_epoch(size, epochs, percent / 100, **options)
        return
    kept = kept_per_epoch(size, epochs, percent / 100, **options)
    assert sum(kept) == total
    assert len(kept) == epochs
    middle = kept[warmup : epochs - (full - warmup)]
    assert max(middle, default=0) - min(middle, default=0) <= 1
    assert all(k == size for k in (*kept[:warmup], *kept[epochs - (full - warmup) :]))


def test_epoch_budget_puts_full_epochs_on_top() -> None:
    assert kept_per_epoch(100, 8, 0.7, warmup_epochs=1, anneal=0.25) == (100, 30, 30, 30, 30, 30, 100, 100)


def test_annealing_rounds_to_epochs() -> None:
    assert kept_per_epoch(10, 20, 0.5, anneal=0.125) == (5,) * 17 + (10,) * 3


@pytest.mark.parametrize("rates", [[0.0, 0.5, 0.9], lambda epoch: [0.0, 0.5, 0.9][epoch]])
def test_a_rate_per_epoch(rates: object) -> None:
    pruner = Pruner(100, "random", prune_rate=rates, num_epochs=3)
    assert pruner.kept == (100, 50, 10)
    assert pruner.total_steps(batch_size=30) == 4 + 2 + 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prune_rate": [0.5, 0.5]}, "prune_rate is '2 rates'; allowed: one rate for each of 4 epochs"),
        ({"prune_rate": [0.5] * 4, "anneal": 0.5}, "prune_rate is 'one rate per epoch'; allowed: warmup_epochs=0"),
        ({"prune_rate": [0.5, 0.5, 0.5, 1.0]}, "prune_rate is 1.0; allowed: a number in [0, 1)"),
        ({"anneal": 1.0}, "anneal is 1.0; allowed: a number in [0, 1)"),
        ({"anneal": 0.5, "warmup_epochs": 3}, "warmup_epochs is 3; allowed: at most 2 beside 2 annealing epochs"),
        ({"warmup_epochs": -1}, "warmup_epochs is -1; allowed: an integer of at least 0"),
        ({"budget": "total"}, "budget is 'total'; allowed: 'epoch' or 'run'"),
        ({"prune_rate": 0.9, "anneal": 0.5, "budget": "run"}, "prune_rate is 0.9; allowed: a rate whose budget pays"),
    ],
)
def test_bad_schedules_are_named(options: dict, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        kept_per_epoch(100, 4, **{"prune_rate": 0.5, **options})
    assert message in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("num_samples", 0), ("num_samples", 2.0), ("num_samples", 2**32 + 1)])
def test_bad_sizes_are_named(name: str, value: object) -> None:
    with pytest.raises(ArgumentError, match=f"^{name} is {value!r}; allowed"):
        kept_per_epoch(value, 3, 0.5)


def test_bad_number_of_epochs_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"^num_epochs is 0; allowed: an integer of at least 1"):
        kept_per_epoch(10, 0, 0.5)
