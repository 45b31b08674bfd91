"""The hardest samples and the suspects, on scores that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.helpers.thread_world import on_all_ranks

from emprune import ArgumentError, IdBatches, Pruner
from emprune.inspection import hardest, surely_wrong, suspects
from emprune.scoring import classification

N = 100
LOSS = torch.arange(N).flip(0).float() / 10
MEMORY = (torch.arange(N) * 37 % N).float() / 50


def trained(**options: object) -> Pruner:
    pruner = Pruner(N, "random", prune_rate=0.5, num_epochs=2, **options)
    for ids in IdBatches(pruner, 10):
        pruner.loss(ids, LOSS[ids].requires_grad_(), MEMORY[ids])
    return pruner


def test_suspects_are_the_ids_with_the_highest_loss_of_those_seen() -> None:
    pruner = trained()
    seen = np.sort(pruner.plan.ids)
    assert pruner.suspects(5).tolist() == seen[:5].tolist()  # in the middle of the epoch too
    pruner.end_epoch()
    assert pruner.suspects(5).tolist() == seen[:5].tolist()
    assert pruner.suspects(N).tolist() == seen.tolist()
    assert pruner.suspects(0).tolist() == []
    assert pruner.suspects(3).dtype == np.int64


def test_the_hardest_have_the_highest_score_of_emp() -> None:
    pruner = trained()
    pruner.end_epoch()
    seen = np.flatnonzero(~pruner.table.unseen)
    score = (LOSS + 20 * MEMORY).numpy()[seen]
    assert pruner.hardest(7).tolist() == seen[np.argsort(-score, kind="stable")][:7].tolist()


def test_without_a_memory_term_both_go_by_the_loss() -> None:
    loss, none = np.array([1, 3, 2], np.float32), np.full(3, np.nan, np.float32)
    assert hardest(loss, none, 3).tolist() == suspects(loss, 3).tolist() == [1, 2, 0]
    assert surely_wrong(np.float32([1, 5]), none[:2]).tolist() == [False, True]


def test_what_has_no_finite_loss_is_in_no_list() -> None:
    loss, memory = np.array([np.inf, np.nan, 0.1], np.float32), np.array([0, np.nan, 0.2], np.float32)
    assert hardest(loss, memory, 3).tolist() == suspects(loss, 3).tolist() == [2]
    assert surely_wrong(loss, memory).tolist() == [False] * 3


def test_ties_stay_in_order() -> None:
    assert suspects(np.ones(4, np.float32), 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize("n", [-1, 1.5, True, "3"])
def test_a_number_that_is_none(n: object) -> None:
    with pytest.raises(ArgumentError, match=r"n is .*; allowed: an integer of at least 0"):
        trained().suspects(n)


def test_wrong_labels_that_training_did_not_fit_come_first() -> None:
    """A linear model on separable blobs: 10 of 100 labels are wrong, and it cannot fit them."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(N) % 2
    inputs = torch.randn(N, 2, generator=rng) * 0.5 + 4 * (labels[:, None] - 0.5)
    wrong = torch.randperm(N, generator=rng)[:10]
    given = labels.clone()
    given[wrong] = 1 - given[wrong]
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pruner = Pruner(N, prune_rate=0.5, num_epochs=12, seed=1)
    for _ in pruner.epochs():
        for ids in IdBatches(pruner, 10):
            pruner.loss(ids, *classification(model(inputs[ids]), given[ids])).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert set(pruner.suspects(10).tolist()) == set(wrong.tolist())


def test_after_a_pass_over_all_samples_that_decides() -> None:
    pruner = trained()
    everything = torch.arange(N)
    pruner.observe(everything, LOSS.flip(0), MEMORY)
    pruner.end_epoch()
    assert pruner.suspects(3).tolist() == [N - 1, N - 2, N - 3]


def averages(pruner: Pruner, rounds: list[dict[int, float]]) -> None:
    for losses in rounds:
        for sample, loss in losses.items():
            pruner.loss(torch.tensor([sample]), torch.tensor([loss], requires_grad=True))
        pruner.end_epoch(partial=True)


def test_with_a_running_average_suspects_are_those_of_high_losses_all_along() -> None:
    rounds = [{0: 4.0, 1: 1.0, 2: 9.0}, {0: 4.0, 1: 5.0, 2: float("nan")}, {0: 3.0, 2: 1.0}]
    settings = {"prune_rate": 0.0, "num_epochs": 3, "on_nonfinite": "quarantine"}
    pruner = Pruner(4, "full", remember="mean", **settings)
    averages(pruner, rounds)
    expected = [4 + 0.3 * (3 - 4), 1 + 0.3 * (5 - 1), 9 + 0.3 * (1 - 9), np.nan]
    np.testing.assert_allclose(pruner.table.extra["mean.loss"], expected, rtol=1e-6)
    assert pruner.suspects(4).tolist() == [2, 0, 1]
    last = Pruner(4, "full", **settings)
    averages(last, rounds)
    assert last.suspects(4).tolist() == [1, 0, 2]
    assert last.table.nbytes == 64 == pruner.table.nbytes - 32


def test_the_running_average_changes_no_plan_and_is_saved() -> None:
    runs = {one: Pruner(N, "emp", prune_rate=0.5, num_epochs=3, remember=one) for one in ("last", "mean")}
    for pruner in runs.values():
        for _ in zip(pruner.epochs(), range(2), strict=False):
            for ids in IdBatches(pruner, 10):
                pruner.loss(ids, LOSS[ids].requires_grad_(), MEMORY[ids])
    plans = [pruner.plan.ids.tolist() for pruner in runs.values()]
    assert plans[0] == plans[1]
    again = Pruner(N, "emp", prune_rate=0.5, num_epochs=3, remember="mean")
    again.load_state_dict(runs["mean"].state_dict())
    np.testing.assert_array_equal(again.table.extra["mean.loss"], runs["mean"].table.extra["mean.loss"])
    again.load_state_dict(runs["last"].state_dict())
    assert np.isnan(again.table.extra["mean.loss"]).all()
    with pytest.raises(ArgumentError, match="remember is 'all'; allowed: 'last' or 'mean'"):
        Pruner(N, prune_rate=0.5, num_epochs=3, remember="all")


def test_of_a_partitioned_table_each_rank_names_its_own_ids() -> None:
    def work(world: object) -> tuple[list[int], list[int]]:
        pruner = Pruner(N, "random", prune_rate=0.0, num_epochs=2, world=world, partition_batch_size=10)
        for ids in IdBatches(pruner, 10):
            pruner.loss(ids, LOSS[ids].requires_grad_(), MEMORY[ids])
        pruner.end_epoch()
        return pruner.suspects(2).tolist(), pruner.hardest(N).tolist()

    (first, all_first), (second, all_second) = on_all_ranks(work, 2)
    assert (first, second) == ([0, 1], [50, 51])
    assert sorted(all_first) == list(range(50))
    assert sorted(all_second) == list(range(50, N))


def test_the_running_average_does_not_depend_on_who_looks() -> None:
    """Looking moves observations into the table; of each epoch the last loss counts, whenever it came there."""
    averages = []
    for looks in (False, True):
        pruner = Pruner(20, "random", prune_rate=0.5, num_epochs=4, remember="mean")
        for epoch in pruner.epochs():
            for ids in IdBatches(pruner, 5):
                pruner.loss(ids, (ids.float() + 1).mul(epoch + 1).requires_grad_())
            if looks:
                pruner.report()
            pruner.observe(torch.arange(20), torch.arange(20) * (epoch + 1.0))
        averages.append(pruner.table.extra["mean.loss"].copy())
    np.testing.assert_array_equal(*averages)


def test_a_quarantined_sample_is_no_suspect_whatever_its_average() -> None:
    pruner = Pruner(3, "full", prune_rate=0.0, num_epochs=2, remember="mean", on_nonfinite="quarantine")
    for losses in ([9.0, 1.0, 2.0], [float("nan"), 1.0, 2.0]):
        for ids in IdBatches(pruner, 3):
            pruner.loss(ids, torch.tensor(losses)[ids].requires_grad_())
        pruner.end_epoch()
    assert pruner.suspects(3).tolist() == [2, 1]
