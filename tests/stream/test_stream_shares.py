"""Shares of batches add up exactly, whatever the batches and on any number of ranks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emprune import ArgumentError
from emprune.epoch.schedule import kept_count
from emprune.stream.shares import StreamShares

rates = st.sampled_from([0.0, 0.1, 0.3, 1 / 3, 0.5, 0.7, 0.9, 0.99, 0.999])


@given(rate=rates, sizes=st.lists(st.integers(0, 300), max_size=60))
def test_after_every_batch_the_count_is_the_rounded_product(rate: float, sizes: list[int]) -> None:
    shares, seen, kept = StreamShares(rate), 0, 0
    for size in sizes:
        share = shares.of_next(seen, size)
        assert 0 <= share <= size
        seen, kept = seen + size, kept + share
        assert abs(kept - (1 - Fraction(repr(rate))) * seen) <= Fraction(1, 2)


@given(rate=rates, num_samples=st.integers(1000, 10**6))
def test_a_stream_of_n_samples_trains_what_a_data_set_of_n_would(rate: float, num_samples: int) -> None:
    assert StreamShares(rate).of_first(num_samples) == kept_count(num_samples, rate)


@given(rate=rates, ranks=st.integers(1, 9), count=st.integers(0, 10**12))
def test_ranks_that_have_seen_as_many_are_exact_in_sum(rate: float, ranks: int, count: int) -> None:
    parts = [StreamShares(rate, rank, ranks).of_first(count) for rank in range(ranks)]
    assert sum(parts) == StreamShares(rate).of_first(count * ranks)
    assert max(parts) - min(parts) <= 1


def test_the_least_batch_has_a_share_wherever_it_comes() -> None:
    for rate in (0.0, 0.3, 0.7, 0.9, 0.95):
        shares = StreamShares(rate, 1, 3)
        least = shares.least_batch
        assert min(shares.of_next(seen, least) for seen in range(100)) >= 1
        if least > 1:
            assert min(shares.of_next(seen, least - 1) for seen in range(100)) == 0


@pytest.mark.parametrize("rate", [1, -0.1, np.nan, "0.7", None])
def test_rates_out_of_range(rate: float) -> None:
    with pytest.raises(ArgumentError, match="prune_rate"):
        StreamShares(rate)
