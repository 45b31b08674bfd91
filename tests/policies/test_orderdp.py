"""OrderDP against a naive loop, and what its pool is."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from cases import play, table_of

from emprune import LFL, ArgumentError, Policy, Pruner, Request
from emprune.epoch.plan import make_plan
from emprune.policies.orderdp import OrderDP

LOSS = np.arange(20) / 10


def subsets(policy: Policy, k: int, epochs: int, loss: np.ndarray = LOSS) -> list[set[int]]:
    return [set(make_plan(policy, Request(table_of(loss), k, e, epochs, 0)).ids.tolist()) for e in range(epochs)]


def naive_frequencies(size: int, k: int, draws: int = 4000) -> dict[int, float]:
    """How often the published rule takes each of the samples of LOSS: pool by permutation, then by sorting."""
    rng, counts = np.random.default_rng(7), Counter()
    for _ in range(draws):
        pool = rng.permutation(len(LOSS))[:size].tolist()
        counts.update(sorted(pool, key=lambda i: -LOSS[i])[:k])
    return {i: counts[i] / draws for i in range(len(LOSS))}


@pytest.mark.parametrize(("pool", "size", "k"), [(0.5, 10, 3), (0.8, 16, 6), (0.25, 5, 5)])
def test_each_rank_is_taken_as_often_as_by_the_published_rule(pool: float, size: int, k: int) -> None:
    counts = Counter(i for subset in subsets(OrderDP(pool), k, epochs=2000) for i in subset)
    for i, frequency in naive_frequencies(size, k).items():
        assert counts[i] / 2000 == pytest.approx(frequency, abs=0.055)  # about four standard errors of both


@pytest.mark.parametrize(("pool", "k"), [(0.5, 3), (0.8, 6), (0.75, 2)])
def test_no_sample_is_taken_that_k_harder_ones_of_any_pool_would_displace(pool: float, k: int) -> None:
    absent = len(LOSS) - round(pool * len(LOSS))
    easiest = min(set().union(*subsets(OrderDP(pool), k, epochs=300)))
    assert len(LOSS) - absent - k <= easiest < len(LOSS) - k


def test_the_whole_data_set_as_pool_is_lfl() -> None:
    for k in (1, 5, 19):
        assert subsets(OrderDP(pool=1.0), k, 3) == subsets(LFL(), k, 3)


def test_a_pool_below_k_is_a_uniform_subset() -> None:
    counts = Counter(i for subset in subsets(OrderDP(pool=0.1), 10, epochs=2000) for i in subset)
    assert min(counts.values()) > 900
    assert max(counts.values()) < 1100


def test_unseen_samples_come_first_and_quarantined_ones_last() -> None:
    loss = LOSS.copy()
    loss[:3] = np.inf
    loss[-6:] = np.nan
    for subset in subsets(OrderDP(pool=0.7), 14, epochs=40, loss=loss):
        assert subset == set(range(14))  # the pool is what is usable, and all of it is needed
    for subset in subsets(OrderDP(pool=0.6), 2, epochs=40, loss=loss):
        assert len(subset & {0, 1, 2}) >= 1  # twelve of fourteen usable ones: two of the unseen may be absent


def test_a_run_ranks_each_pool_by_the_losses_that_are_stale() -> None:
    pruner = Pruner(40, OrderDP(pool=1.0), prune_rate=0.7, num_epochs=8)
    stale = {}
    for epoch, ids, _ in play(pruner, batch_size=12):
        if epoch > 3:  # by then every sample was seen
            worst_taken = min(stale[i] for i in ids)
            assert all(stale[i] <= worst_taken for i in set(range(40)) - set(ids))
        assert len(ids) == 12
        stale.update({i: 0.1 + ((i * 37 + epoch * 11) % 101) / 50 for i in ids})


@pytest.mark.parametrize("pool", [0, -0.1, 1.01, float("nan")])
def test_a_pool_that_is_no_part_is_refused(pool: float) -> None:
    with pytest.raises(ArgumentError, match=r"pool is .*; allowed: a number in \(0, 1\]"):
        OrderDP(pool=pool)
