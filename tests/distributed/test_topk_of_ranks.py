"""The k-th smallest of all ranks' keys is that of their keys in one array, to the bit."""

from __future__ import annotations

import numpy as np
from cases import scores_and_k
from hypothesis import given, settings

from emprune.distributed.topk import kth_smallest, kth_smallest_of_all


@settings(max_examples=100)
@given(scores_and_k())
def test_of_several_ranks_it_is_that_of_one(case: tuple[np.ndarray, int]) -> None:
    keys, k = case
    # One rank that holds all keys adds up counts as many ranks do; the sums are what the search reads.
    found, expected = kth_smallest_of_all(keys, k, lambda counts: counts), kth_smallest(keys, k)
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.array_equal(expected, np.partition(keys, k - 1)[k - 1], equal_nan=True)


def test_the_counts_that_ranks_exchange_are_small_whatever_the_keys() -> None:
    sizes: list[int] = []

    def all_reduce(counts: np.ndarray) -> np.ndarray:
        sizes.append(counts.nbytes)
        return counts

    kth_smallest_of_all(np.random.default_rng(0).normal(size=100_000).astype(np.float32), 777, all_reduce)
    assert len(sizes) == 3
    assert sum(sizes) <= 48 * 1024
