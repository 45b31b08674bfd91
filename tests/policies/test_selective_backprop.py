"""Selective-Backprop: its probabilities against the integral of CDF^β, and the draw against its probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import loss_of
from hypothesis import given, settings
from hypothesis import strategies as st

from emprune import IdBatches, Pruner
from emprune.policies.base import BatchRequest
from emprune.policies.selective_backprop import SelectiveBackprop, loss_ranks


def _probability(rank: int, batch_size: int, k: int) -> float:
    """Mean of CDF^β over the rank's part of [0, 1], by summing many small pieces."""
    beta, pieces = batch_size / k - 1, 2000
    return sum(((rank + (j + 0.5) / pieces) / batch_size) ** beta for j in range(pieces)) / pieces


def _choose(loss: torch.Tensor, k: int, seed: int = 0) -> list[int]:
    rng = np.random.default_rng(seed)
    chosen = SelectiveBackprop().select_within_batch(BatchRequest({"loss": loss}, k, rng))
    assert chosen.weights is None
    assert chosen.positions is not None
    assert chosen.positions.dtype == torch.int64
    return chosen.positions.tolist()


@given(st.integers(1, 300), st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
@settings(deadline=None)
def test_any_start_gives_exactly_k_distinct_ranks(batch_size: int, part: int, start: float) -> None:
    k = part % (batch_size + 1)
    ranks = loss_ranks(batch_size, k, start)
    assert ranks.dtype == np.int64
    assert len(ranks) == k == len(set(ranks.tolist()))
    assert all(0 <= rank < batch_size for rank in ranks.tolist())


@pytest.mark.parametrize(("batch_size", "k"), [(8, 4), (10, 3), (16, 15), (12, 1)])
def test_each_rank_has_the_published_probability(batch_size: int, k: int) -> None:
    starts = 20_000
    counts = np.zeros(batch_size)
    for j in range(starts):  # every start once: what is left of the error is that of the grid
        counts[loss_ranks(batch_size, k, (j + 0.5) / starts)] += 1
    expected = [_probability(rank, batch_size, k) for rank in range(batch_size)]
    assert sum(expected) == pytest.approx(k, rel=1e-5)
    assert counts / starts == pytest.approx(expected, abs=3e-4)


def test_the_share_of_a_sample_grows_with_its_loss_as_the_law_says() -> None:
    loss = torch.tensor([0.3, 2.0, 0.1, 5.0, 0.2, 1.0])
    runs = 3000
    counts = np.zeros(6)
    for seed in range(runs):
        counts[_choose(loss, 2, seed)] += 1
    ranks = [2, 4, 0, 5, 1, 3]
    for position, rank in enumerate(ranks):
        p = _probability(rank, 6, 2)
        assert abs(counts[position] / runs - p) < 4.5 * np.sqrt(p * (1 - p) / runs) + 1e-3


def test_half_and_a_third_are_beta_1_and_2() -> None:
    # CDF^1 of 4 samples, taken at the middle of each quarter; and of CDF^2 the exact mean over each third
    assert [_probability(rank, 4, 2) for rank in range(4)] == pytest.approx([0.125, 0.375, 0.625, 0.875])
    assert [_probability(rank, 3, 1) for rank in range(3)] == pytest.approx([1 / 27, 7 / 27, 19 / 27])


def test_samples_that_are_not_finite_rank_lowest() -> None:
    loss = torch.tensor([1.0, torch.nan, 3.0, torch.inf, 2.0, 0.5, 0.4, 0.3])
    counts = np.zeros(8)
    for seed in range(2000):
        counts[_choose(loss, 2, seed)] += 1
    lowest = _probability(0, 8, 2) + _probability(1, 8, 2)
    assert counts[[1, 3]].sum() / 2000 < lowest + 0.01
    assert counts[2] == counts.max()


def test_ties_and_the_ends_of_k() -> None:
    loss = torch.full((6,), 0.7)
    for k in range(7):
        assert len(set(_choose(loss, k))) == k
    assert _choose(loss, 0) == []
    assert sorted(_choose(loss, 6)) == list(range(6))


def test_no_value_is_read_back_from_the_device() -> None:
    loss = torch.empty(8, device="meta")  # reading a value raises
    chosen = SelectiveBackprop().select_within_batch(BatchRequest({"loss": loss}, 3, np.random.default_rng(0)))
    assert chosen.positions is not None
    assert (chosen.positions.device.type, chosen.positions.shape) == ("meta", (3,))


def test_through_a_pruner_at_an_exact_rate() -> None:
    pruner = Pruner(50, SelectiveBackprop(), prune_rate=0.7, num_epochs=4)
    again = Pruner(50, SelectiveBackprop(), prune_rate=0.7, num_epochs=4)
    for epoch in pruner.epochs():
        for ids in IdBatches(pruner, 8):
            loss = loss_of(ids, epoch).requires_grad_()
            pruner.loss(ids, loss).backward()
            again.loss(ids, loss_of(ids, epoch))
            chosen = int(torch.count_nonzero(loss.grad))
            assert torch.allclose(loss.grad.sum(), torch.tensor(float(chosen > 0)))
        assert pruner.table.times_trained.sum() == 15 * epoch
        again.end_epoch()
    assert pruner.table.times_trained.sum() == 60
    assert again.table.times_trained.tolist() == pruner.table.times_trained.tolist()


def test_quarantined_losses_leave_the_gradient_finite() -> None:
    pruner = Pruner(8, SelectiveBackprop(), prune_rate=0.25, num_epochs=1, on_nonfinite="quarantine")
    loss = torch.tensor([1.0, torch.nan, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], requires_grad=True)
    pruner.loss(torch.arange(8), loss).backward()
    assert torch.isfinite(loss.grad).all()
