"""RePB against a loop that follows the paper sample by sample, and the law of its draw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from cases import loss_of, play

from emprune import ArgumentError, IdBatches, Pruner
from emprune.policies.repb import RePB, above_window_mean


def _trained(pruner: Pruner, batch_size: int, loss: Callable[[torch.Tensor, int], torch.Tensor]) -> set[int]:
    """Train one epoch; ids of the samples whose loss was above the mean of the batch they came in."""
    above: set[int] = set()
    for ids in IdBatches(pruner, batch_size):
        values = loss(ids, pruner.epoch)
        pruner.loss(ids, values)
        mean = sum(values.tolist()) / len(ids)
        above |= {i for i, value in zip(ids.tolist(), values.tolist(), strict=True) if value > mean}
    pruner.end_epoch()
    return above


def test_above_the_mean_of_its_window() -> None:
    rng = np.random.default_rng(0)
    window = rng.integers(0, 9, 200)
    loss = rng.gamma(0.5, size=200).astype(np.float32)
    found = above_window_mean(loss, window)
    for i in range(200):
        mates = [float(loss[j]) for j in range(200) if window[j] == window[i]]
        assert found[i] == (loss[i] > sum(mates) / len(mates))
    assert found.dtype == np.float32
    assert above_window_mean(np.full(3, 0.1, np.float32), np.array([4, 4, 4])).tolist() == [0, 0, 0]
    assert above_window_mean(np.empty(0, np.float32), np.empty(0, np.int64)).tolist() == []


@pytest.mark.parametrize("batch_size", [5, 12, 60])
def test_what_beat_its_own_batch_stays_and_the_counts_give_the_weights(batch_size: int) -> None:
    pruner = Pruner(60, RePB(weight_sum="published"), prune_rate=0.6, num_epochs=7)
    counts = dict.fromkeys(range(60), 0)
    above: set[int] = set()
    for epoch in range(7):
        plan = pruner.plan
        assert len(plan) == 24
        assert above <= set(plan.ids.tolist())
        for i, weight in zip(plan.ids.tolist(), plan.weights.tolist(), strict=True):
            assert weight == pytest.approx((epoch + 1) / (counts[i] + 1))
            counts[i] += 1
        above = _trained(pruner, batch_size, loss_of)
    assert max(counts.values()) > min(counts.values())


def test_batches_are_compared_in_themselves_and_not_with_each_other() -> None:
    level = {}

    def drifting(ids: torch.Tensor, epoch: int) -> torch.Tensor:
        level[epoch] = level.get(epoch, 1000.0) / 10  # each batch far below the one before
        return level[epoch] * (1 + loss_of(ids, epoch))

    pruner = Pruner(40, RePB(), prune_rate=0.5, num_epochs=2)
    above = _trained(pruner, 5, drifting)
    assert 4 <= len(above) <= 16
    assert above <= set(pruner.plan.ids.tolist())


def test_all_others_are_drawn_alike_and_the_weights_undo_the_draw() -> None:
    num_samples, epochs, runs = 30, 4, 400
    drawn, weighted = np.zeros(num_samples), np.zeros(num_samples)
    for seed in range(runs):
        pruner = Pruner(num_samples, RePB(weight_sum="published"), prune_rate=0.7, num_epochs=epochs, seed=seed)
        for _ in range(epochs - 1):
            _trained(pruner, 9, lambda ids, _: torch.full((len(ids),), 0.1))  # nobody is above
        drawn[pruner.plan.ids] += 1
        weighted[pruner.plan.ids] += pruner.plan.weights
    spread = np.sqrt(0.3 * 0.7 / runs)
    assert np.abs(drawn / runs - 0.3).max() < 4.5 * spread
    # E[1{kept}·w] = 1 - (1 - p)^(E + 1) for everyone
    assert weighted.mean() / runs == pytest.approx(1 - 0.7**epochs, abs=0.03)


def test_left_out_and_below_have_the_same_chance() -> None:
    back, below, left = 0.0, 0.0, 0.0
    for seed in range(300):
        pruner = Pruner(40, RePB(), prune_rate=0.5, num_epochs=2, seed=seed)
        trained = set(pruner.plan.ids.tolist())
        above = _trained(pruner, 20, loss_of)
        plan = set(pruner.plan.ids.tolist())
        rest = 20 - len(above)
        expected = rest / (40 - len(above))
        below += len(plan & (trained - above)) / rest - expected
        back += len(plan - trained) / 20 - expected
        left += expected
    assert 0.2 < left / 300 < 0.5
    assert abs(below / 300) < 0.03
    assert abs(back / 300) < 0.03


def test_after_a_full_epoch_more_are_above_than_fit() -> None:
    pruner = Pruner(40, RePB(), prune_rate=0.9, num_epochs=3, warmup_epochs=1)
    above = _trained(pruner, 8, loss_of)
    assert len(above) > 4
    assert set(pruner.plan.ids.tolist()) < above
    assert pruner.plan.weights.tolist() == [1.0] * 4


def test_who_was_above_and_then_left_out_is_drawn_like_all_others() -> None:
    never_above = 0
    for seed in range(60):
        pruner = Pruner(40, RePB(), prune_rate=0.9, num_epochs=3, warmup_epochs=1, seed=seed)
        first = _trained(pruner, 8, loss_of)
        above = _trained(pruner, 2, loss_of)
        never_above += len(set(pruner.plan.ids.tolist()) - first - above)
    assert never_above > 30  # of about 120 places that are drawn, half of them from below


def test_weights_have_mean_1_unless_asked_as_published() -> None:
    for weight_sum in ("kept", "published"):
        pruner = Pruner(50, RePB(weight_sum=weight_sum), prune_rate=0.8, num_epochs=9)
        for _ in range(8):
            _trained(pruner, 5, loss_of)
        mean = float(pruner.plan.weights.mean())
        assert mean == pytest.approx(1) if weight_sum == "kept" else 2 < mean < 8
    with pytest.raises(ArgumentError, match="weight_sum is 'all'"):
        RePB(weight_sum="all")


def test_quarantined_samples_come_last() -> None:
    def broken(ids: torch.Tensor, epoch: int) -> torch.Tensor:
        return torch.where(ids < 6, torch.nan, loss_of(ids, epoch))

    pruner = Pruner(20, RePB(), prune_rate=[0.0, 0.5, 0.2], num_epochs=3, on_nonfinite="quarantine")
    for ids in IdBatches(pruner, 5):
        pruner.loss(ids, broken(ids, 0))
    pruner.end_epoch()
    assert pruner.plan.ids.min() >= 6
    for ids in IdBatches(pruner, 5):
        pruner.loss(ids, broken(ids, 1))
    pruner.end_epoch()
    assert set(range(6, 20)) < set(pruner.plan.ids.tolist())


def test_a_state_taken_in_mid_epoch_changes_nothing() -> None:
    def run(*, restore: bool) -> list[tuple[int, list[int], list[float]]]:
        pruner, steps = Pruner(30, RePB(), prune_rate=0.5, num_epochs=4), []
        for step, (epoch, ids, weights) in enumerate(play(pruner, batch_size=4)):
            steps.append((epoch, ids, weights))
            if restore and step % 3 == 1:
                pruner.load_state_dict(pruner.state_dict())
        return steps

    # play() holds its own loader: a restore puts what was reported first and leaves what is left as it was
    assert [ids for _, ids, _ in run(restore=False)] == [ids for _, ids, _ in run(restore=True)]
