"""Advice from a watched run, on losses that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.helpers.thread_world import on_all_ranks

import emprune
from emprune import ArgumentError, IdBatches, Pruner

N, EPOCHS = 2000, 20


def difficulty(ids: torch.Tensor) -> torch.Tensor:
    """Very unlike from sample to sample, 1 on average."""
    places = (ids * 2_654_435_761 % N).double() / N
    return (-torch.log1p(-places * 0.9999)).float() + 0.01


def watch(gap: float | None, epochs: int = 4, *, noise: float = 0.0, **options: object) -> Pruner:
    """An ordinary run: losses of trained samples are a known part of those of held-out ones, in each epoch anew."""
    pruner = Pruner(N, prune_rate=0, num_epochs=EPOCHS, **options)
    rng = torch.Generator().manual_seed(1)
    while pruner.epoch < epochs:
        scale, learnt = torch.exp(noise * torch.randn(N, generator=rng)), 1 - (gap or 0) * (pruner.epoch > 0)
        if gap is not None and pruner.epoch:
            pruner.observe_held_out(difficulty(torch.arange(N)))
        for ids in IdBatches(pruner, 100):
            loss = difficulty(ids) * scale[ids] * learnt
            pruner.loss(ids, loss.requires_grad_(), memory=difficulty(ids) / 3 * scale[ids] * learnt)
        pruner.end_epoch()
    return pruner


def test_where_the_gap_is_small_and_scores_hold_a_part_can_be_left_out() -> None:
    advice = emprune.advise(watch(0.02))
    assert advice.gap == pytest.approx(0.02, abs=0.03)
    assert advice.reliability == pytest.approx(1, abs=0.01)
    assert advice.gamma > 2
    assert 0.3 <= advice.prune_rate <= 0.7
    assert advice.saved == pytest.approx(advice.prune_rate * 16 / 20)
    assert f"prune_rate={advice.prune_rate:.1f}" in str(advice)


def test_where_the_gap_is_wide_nothing_can() -> None:
    advice = emprune.advise(watch(0.6))
    assert advice.gap == pytest.approx(0.6, abs=0.05)
    assert (advice.gamma, advice.prune_rate, advice.saved, advice.informative) == (0, 0, 0, 1)
    assert "nothing should be left out" in str(advice)


def test_where_scores_do_not_hold_less_can() -> None:
    assert emprune.advise(watch(0.02, noise=2)).gamma < 0.7 * emprune.advise(watch(0.02)).gamma


def test_what_is_not_known_is_said() -> None:
    without = emprune.advise(watch(None))
    assert np.isnan([without.gap, without.gamma, without.prune_rate, without.saved]).all()
    assert "pruner.observe_held_out(losses)" in str(without)
    early = emprune.advise(watch(0.1, 1))
    assert np.isnan(early.prune_rate)
    nothing = emprune.advise(Pruner(10, prune_rate=0, num_epochs=2))
    assert (nothing.epochs, nothing.suspects) == (0, 0)
    assert np.isnan(nothing.remembered)
    assert "not known of the samples" in str(nothing)


def test_an_ordinary_run_is_not_changed() -> None:
    watched = watch(0.3)
    assert watched.kept == (N,) * EPOCHS
    assert (watched.plan.weights == 1).all()
    assert (watched.table.times_trained == 4).all()


def test_shares_of_remembered_and_suspected_samples() -> None:
    pruner = Pruner(100, prune_rate=0, num_epochs=4)
    ids = torch.arange(100)
    loss = torch.where(ids < 60, 0.5, torch.where(ids < 90, 1.0, 6.0))
    pruner.loss(ids, loss, memory=torch.where(ids < 95, 0.1, 2.0))
    pruner.end_epoch()
    advice = emprune.advise(pruner)
    assert advice.remembered == pytest.approx(0.6)
    assert advice.suspects == 5  # of the ten with a loss of 6, those of which the network is sure


def test_ranks_with_a_partition_each_give_the_same_advice() -> None:
    def advised(world: object) -> emprune.Advice:
        pruner = Pruner(N, prune_rate=0, num_epochs=EPOCHS, world=world, partition_batch_size=world and 50)
        while pruner.epoch < 3:
            if pruner.epoch:
                pruner.observe_held_out(difficulty(torch.arange(N)))
            for ids in IdBatches(pruner, 50):
                pruner.loss(ids, difficulty(ids) * 0.95, difficulty(ids) / 3)
            pruner.end_epoch()
        return emprune.advise(pruner)

    alone = vars(advised(None))
    for found in on_all_ranks(advised, 2):
        assert vars(found) == pytest.approx(alone)


def test_a_pruner_with_another_policy_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"policy 'emp'.*Pruner\(len\(train_set\), prune_rate=0"):
        emprune.advise(Pruner(10, "emp", prune_rate=0, num_epochs=2))


def test_losses_below_zero_count_from_the_lowest_one_as_the_policy_does() -> None:
    pruner = Pruner(N, prune_rate=0, num_epochs=EPOCHS)
    ids = torch.arange(N)
    loss = (ids % 100) / 50 - 0.9
    for _ in range(4):
        if pruner.epoch:
            pruner.observe_held_out(loss)
        pruner.loss(ids, loss, torch.zeros(N))
        pruner.end_epoch()
    advice = emprune.advise(pruner)
    lifted = (loss - loss.min()).double().numpy() ** advice.gamma
    assert advice.informative == pytest.approx(lifted.sum() ** 2 / (N * (lifted**2).sum()), rel=0.01)
