"""SCAN against the published loop and a naive sort, and what comes back."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from cases import play, scores_and_k, table_of
from hypothesis import given, settings
from hypothesis import strategies as st
from thread_world import on_all_ranks

from emprune import LFL, ArgumentError, IdBatches, Policy, Pruner, Request
from emprune.distributed.rank_slice import RankSlice
from emprune.epoch.plan import make_plan
from emprune.policies.scan import SCAN, dropped_part, middle

LOSS = np.random.default_rng(3).permutation(20) / 10
parts, shares = (st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1) for _ in range(2))


def dropped(policy: Policy, k: int, epoch: int, loss: np.ndarray = LOSS, seed: int = 0) -> set[int]:
    plan = make_plan(policy, Request(table_of(loss), k, epoch, 100, seed))
    assert len(plan) == k
    assert (plan.weights == 1).all()
    return set(range(len(loss))) - set(plan.ids.tolist())


def naive_ends(losses: list[float], count: int, low_share: float = 0.5) -> tuple[list[int], list[int]]:
    """Positions of the lowest and of the highest losses, by sorting."""
    ordered = sorted(range(len(losses)), key=lambda i: losses[i])
    low = math.floor(low_share * count + 0.5)
    return ordered[:low], ordered[len(ordered) - (count - low) :]


def annealing(epoch: int, steps: int) -> float:
    """The published ρ_cur, as it is written there."""
    return 0.5 * (1 + math.cos((steps - epoch % (steps + 1)) / steps * math.pi))


@pytest.mark.parametrize("rho", [0.1, 0.35, 0.45])
def test_with_the_published_rates_a_run_is_the_published_loop(rho: float) -> None:
    """Losses that do not move, so that those of a cycle's full epoch and the last ones are the same."""
    size, losses, rng = 80, torch.from_numpy(np.random.default_rng(1).permutation(80) / 80), random.Random(0)
    pruner = Pruner(size, "scan", prune_rate=lambda epoch: 2 * rho * dropped_part(epoch), num_epochs=24)
    ours, theirs, candidates = Counter[int](), Counter[int](), set[int]()
    for epoch in pruner.epochs():
        gone, now = set(range(size)), set[int]()
        for ids in IdBatches(pruner, 9):
            pruner.loss(ids, losses[ids])
            gone -= set(ids.tolist())
        if epoch % 4 == 0:
            low, high = naive_ends(losses.tolist(), 2 * int(rho * size))
            candidates = {*low, *high}
        else:
            now = set(rng.sample(sorted(candidates), int(len(candidates) * annealing(epoch, 3) + 1e-9)))
        assert len(gone) == len(now)
        assert gone <= candidates
        ours.update(gone)
        theirs.update(now)
    assert set(ours) == set(theirs) == candidates
    assert pruner.report().realised_rate == pytest.approx(rho)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_the_part_grows_as_published(steps: int) -> None:
    for epoch in range(3 * steps):
        assert dropped_part(epoch, steps + 1) == pytest.approx(annealing(epoch, steps), abs=1e-15)
    assert dropped_part(5 * steps + 4, steps + 1) == dropped_part((5 * steps + 4) % (steps + 1), steps + 1)


@pytest.mark.parametrize("k", [1, 6, 10, 15, 19])
@pytest.mark.parametrize("low_share", [0.0, 0.3, 0.5, 1.0])
def test_the_last_epoch_of_a_cycle_drops_the_ends_whole(k: int, low_share: float) -> None:
    low, high = naive_ends(LOSS.tolist(), 20 - k, low_share)
    for epoch in (3, 7):
        assert dropped(SCAN(low_share=low_share), k, epoch) == {*low, *high}
    for epoch in range(4):
        assert dropped(SCAN(period=1, low_share=low_share), k, epoch) == {*low, *high}


@pytest.mark.parametrize(("epoch", "part", "k"), [(1, 0.25, 17), (2, 0.75, 11), (0, 0, 12), (1, 0.25, 12)])
def test_before_it_a_random_part_of_wider_ends(epoch: int, part: float, k: int) -> None:
    count = 20 if part == 0 else min(20, round((20 - k) / part))
    low, high = naive_ends(LOSS.tolist(), count)
    counts = Counter(i for seed in range(1500) for i in dropped(SCAN(), k, epoch, seed=seed))
    assert set(counts) == {*low, *high}
    for i in counts:
        assert counts[i] / 1500 == pytest.approx((20 - k) / count, abs=0.06)  # more than four standard errors


@settings(max_examples=400)
@given(case=scores_and_k(), part=parts, low_share=shares, seed=st.integers(0, 9))
def test_exactly_k_of_the_middle_whatever_the_losses(
    case: tuple[np.ndarray, int], part: float, low_share: float, seed: int
) -> None:
    losses, k = case
    before = losses.copy()
    ids = middle(
        losses, k, np.random.default_rng(seed), RankSlice.whole(len(losses)), part=part, low_share=low_share
    ).ids
    assert ids.dtype == np.int64
    assert len(set(ids.tolist())) == len(ids) == k
    assert np.array_equal(losses, before, equal_nan=True)
    gone = np.delete(losses, ids)
    missing, known = np.isnan(losses).sum(), np.sort(losses[np.isfinite(losses)])
    assert np.isnan(gone).sum() == min(missing, len(gone))  # quarantined ones go first,
    left = len(gone) - np.isnan(gone).sum()
    assert np.isposinf(gone).sum() == max(0, left - len(known))  # never seen ones last
    taken = min(left, len(known))
    count = len(known) if taken >= part * len(known) else round(taken / part)
    low, high = naive_ends(known.tolist(), count, low_share)
    gone = gone[np.isfinite(gone)]
    lowest = gone <= known[low[-1]] if low else np.zeros(len(gone), bool)
    highest = gone >= known[high[0]] if high else np.zeros(len(gone), bool)
    assert (lowest | highest).all()
    if part == 1:
        assert np.array_equal(np.sort(gone), known[[*low, *high]])


@settings(max_examples=60, deadline=None)
@given(case=scores_and_k(60), part=parts, low_share=shares, ranks=st.integers(2, 4), seed=st.integers(0, 9))
def test_parts_of_the_losses_give_what_the_whole_does(
    case: tuple[np.ndarray, int], part: float, low_share: float, ranks: int, seed: int
) -> None:
    losses, k = case

    def choose(owned: RankSlice) -> tuple[list[int], float]:
        rng = np.random.default_rng(seed)
        mine = losses[owned.begin : owned.end]
        selection = middle(mine, k, rng, owned, part=part, low_share=low_share)
        return (owned.begin + selection.ids).tolist(), rng.random()

    whole, left = choose(RankSlice.whole(len(losses)))
    outcomes: list[Any] = on_all_ranks(lambda world: choose(RankSlice.of(len(losses), world)), ranks)
    assert [i for ids, _ in outcomes for i in ids] == whole
    assert {rng for _, rng in outcomes} == {left}


def test_ties_are_broken_at_random() -> None:
    equal = {frozenset(dropped(SCAN(period=1), 5, 0, np.ones(10), seed)) for seed in range(40)}
    assert len(equal) > 30
    tied = np.array([1.0, 1, 1, 2, 2, 2, 3, 3, 3])
    counts = Counter(i for seed in range(900) for i in dropped(SCAN(period=1), 7, 0, tied, seed))
    assert set(counts) == {0, 1, 2, 6, 7, 8}
    assert all(240 < count < 360 for count in counts.values())


def test_unseen_samples_stay_and_quarantined_ones_go_first() -> None:
    loss = LOSS.copy()
    loss[[2, 3]], loss[[5, 11, 12]] = np.inf, np.nan
    for epoch in range(4):
        for seed in range(20):
            gone = dropped(SCAN(), 8, epoch, loss, seed)
            assert {5, 11, 12} <= gone
            assert not gone & {2, 3}
            assert dropped(SCAN(), 18, epoch, loss, seed) < {5, 11, 12}
            assert dropped(SCAN(), 1, epoch, loss, seed) & {2, 3}


def test_the_low_end_alone_in_every_epoch_is_lfl() -> None:
    for k in (1, 7, 19):
        assert dropped(SCAN(period=1, low_share=1), k, 5) == dropped(LFL(), k, 5)


@pytest.mark.parametrize("rate", [0.3, 0.6])
def test_a_cycle_takes_the_ends_back_and_without_one_they_are_lost(rate: float) -> None:
    def last_trained(period: int) -> np.ndarray:
        pruner = Pruner(60, SCAN(period), prune_rate=rate, num_epochs=24, warmup_epochs=1)
        for epoch in pruner.epochs():
            for ids in IdBatches(pruner, 8):
                pruner.loss(ids, (ids + 1.0) / 60 * (1 - epoch / 100))
        pruner.report()
        return pruner.table.last_seen

    assert last_trained(4).min() > 4
    assert np.count_nonzero(last_trained(1) == 0) > 0.8 * rate * 60


def test_a_run_is_a_naive_sort_of_the_losses_that_are_stale() -> None:
    pruner = Pruner(40, "scan", prune_rate=0.7, num_epochs=16)
    stale: dict[int, float] = {}
    for epoch, ids, _ in play(pruner, batch_size=12):
        assert len(ids) == 12
        if epoch > 3 and epoch % 4 == 3 and len(stale) == 40:
            low, high = naive_ends([stale[i] for i in range(40)], 28)
            kept = sorted(stale[i] for i in range(40) if i not in {*low, *high})
            assert sorted(stale[i] for i in ids) == kept
        stale.update({i: float(np.float32(0.1) + np.float32((i * 37 + epoch * 11) % 101) / 50) for i in ids})
    assert len(stale) == 40


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SCAN(period=0), "period is 0; allowed: an integer of at least 1"),
        (lambda: SCAN(period=2.5), "period is 2.5"),
        (lambda: SCAN(period=True), "period is True"),
        (lambda: SCAN(low_share=-0.1), r"low_share is -0.1; allowed: a number in \[0, 1\]"),
        (lambda: SCAN(low_share=float("nan")), "low_share is nan"),
        (lambda: dropped_part(3, 0), "period is 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(build: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build()
