"""ε-greedy and UCB against naive loops over real runs, state included."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from cases import table_of

from emprune import ArgumentError, IdBatches, Pruner, Request
from emprune.epoch.plan import make_plan
from emprune.policies.bandits import UCB, EpsilonGreedy
from emprune.table import ScoreTable

SIZE = 60


def loss_at(sample: int, epoch: int) -> float:
    """A loss without ties, that falls and jumps."""
    return float(np.float32(1 + np.sin(sample * 12.9898 + epoch * 78.233) + sample / 1000))


def train(pruner: Pruner, seen: Any, batch_size: int = 8, until: int | None = None) -> None:
    """Train the epochs from where the pruner stands; ``seen(epoch, ids, losses)`` after each one's plan."""
    while pruner.epoch < (until or pruner.num_epochs):
        trained = []
        for ids in IdBatches(pruner, batch_size):
            pruner.loss(ids, torch.tensor([loss_at(i, pruner.epoch) for i in ids.tolist()]))
            trained += ids.tolist()
        seen(pruner.epoch, trained)
        pruner.end_epoch()


class Naive:
    """Averages in Python floats, one sample after the other."""

    def __init__(self, alpha: float) -> None:
        self.alpha, self.mean, self.variance = alpha, {}, {}

    def observe(self, sample: int, loss: float) -> None:
        if sample not in self.mean:
            self.mean[sample], self.variance[sample] = loss, 0.0
            return
        old = self.mean[sample]
        self.variance[sample] = (1 - self.alpha) * self.variance[sample] + self.alpha * (loss - old) ** 2
        self.mean[sample] = (1 - self.alpha) * old + self.alpha * loss

    def bound(self, sample: int, c: float) -> float:
        return self.mean[sample] + c * self.variance[sample] if sample in self.mean else float("inf")

    def highest(self, count: int, c: float) -> set[int]:
        return set(sorted(range(SIZE), key=lambda i: -self.bound(i, c))[:count])


@pytest.mark.parametrize(("c", "alpha"), [(1.0, 0.8), (0.0, 0.3), (5.0, 1.0), (2.5, 0.5)])
def test_ucb_is_the_naive_loop(c: float, alpha: float) -> None:
    naive, differences = Naive(alpha), 0

    def compare(epoch: int, trained: list[int]) -> None:
        nonlocal differences
        unseen = set(range(SIZE)) - set(naive.mean)
        if len(unseen) >= 18:
            assert set(trained) <= unseen
        elif epoch:
            assert set(trained) == naive.highest(18, c)
            differences += set(trained) != naive.highest(18, 0.0)
        for i in trained:
            naive.observe(i, loss_at(i, epoch))

    pruner = Pruner(SIZE, UCB(c, alpha), prune_rate=0.7, num_epochs=25)
    train(pruner, compare)
    assert (differences > 5) == (c > 0)
    assert pruner.table.extra["loss_mean"].tolist() == pytest.approx([naive.mean[i] for i in range(SIZE)], rel=1e-5)
    assert pruner.table.extra["loss_variance"].tolist() == pytest.approx(
        [naive.variance[i] for i in range(SIZE)], rel=1e-4, abs=1e-6
    )


@pytest.mark.parametrize(("epsilon", "explored"), [(0.0, 0), (0.1, 1), (0.5, 9), (0.99, 17), (1.0, 18)])
def test_epsilon_greedy_is_the_naive_loop(epsilon: float, explored: int) -> None:
    naive, drawn = Naive(0.8), Counter()

    def compare(epoch: int, trained: list[int]) -> None:
        if len(naive.mean) == SIZE:
            best = naive.highest(18 - explored, 0.0)
            assert best <= set(trained)
            drawn.update(set(trained) - best)
        assert len(set(trained)) == 18
        for i in trained:
            naive.observe(i, loss_at(i, epoch))

    train(Pruner(SIZE, EpsilonGreedy(epsilon), prune_rate=0.7, num_epochs=60, warmup_epochs=0), compare)
    assert bool(drawn) == (explored > 0)
    if explored > 1:
        assert len(drawn) > 30


def test_what_epsilon_greedy_explores_is_uniform_over_the_rest() -> None:
    table = ScoreTable(20, EpsilonGreedy.columns)
    table.column("loss_mean")[:] = np.arange(20)
    table.record(np.arange(20), np.ones(20, np.float32), None, 0, np.zeros(20, bool))
    counts = Counter()
    for epoch in range(2000):
        counts.update(make_plan(EpsilonGreedy(0.5), Request(table, 8, epoch, 2000, 0)).ids.tolist())
    assert [counts[i] for i in range(16, 20)] == [2000] * 4
    for i in range(16):
        assert counts[i] == pytest.approx(2000 * 4 / 16, abs=90)


@pytest.mark.parametrize("policy", [EpsilonGreedy(0.3, period=3), UCB(c=2.0, period=2), UCB()])
def test_state_goes_on_in_mid_run(policy: Any) -> None:
    whole: dict[int, list[int]] = {}
    train(Pruner(SIZE, policy, prune_rate=0.7, num_epochs=16), whole.__setitem__)
    first, second = (Pruner(SIZE, policy, prune_rate=0.7, num_epochs=16) for _ in range(2))
    train(first, lambda epoch, trained: None, until=7)
    batches = iter(IdBatches(first, 8))
    ids = next(batches)
    first.loss(ids, torch.tensor([loss_at(i, 7) for i in ids.tolist()]))
    second.load_state_dict(first.state_dict())
    halves: dict[int, list[int]] = {}
    train(second, halves.__setitem__)
    assert ids.tolist() + halves[7] == whole[7]
    assert [halves[e] for e in range(8, 16)] == [whole[e] for e in range(8, 16)]


@pytest.mark.parametrize("build", [lambda period: UCB(period=period), lambda period: EpsilonGreedy(0.3, period=period)])
def test_between_two_selections_the_subset_stays(build: Any) -> None:
    plans: dict[int, list[int]] = {}
    train(Pruner(SIZE, build(4), prune_rate=0.7, num_epochs=12), plans.__setitem__)
    for epoch in range(12):
        same = set(plans[epoch]) == set(plans[max(epoch - 1, 0)])
        assert same == (epoch % 4 > 0 or epoch == 0)
        assert epoch % 4 == 0 or plans[epoch] != plans[epoch - 1]  # the order is drawn anew


@pytest.mark.filterwarnings("ignore:epoch 1 ended with 12 of its 18")
def test_what_an_epoch_lost_is_filled_up_and_a_full_epoch_holds_nothing() -> None:
    pruner = Pruner(SIZE, UCB(period=5), prune_rate=0.7, num_epochs=5, warmup_epochs=1)
    plans, trained = [], []
    for epoch in pruner.epochs():
        plans.append(set(pruner.plan.ids.tolist()))
        ids = next(iter(IdBatches(pruner, 12 if epoch else SIZE)))  # of 18, one batch of 12 is trained
        pruner.loss(ids, torch.tensor([loss_at(i, epoch) for i in ids.tolist()]))
        trained.append(set(ids.tolist()))
    assert [len(plan) for plan in plans] == [60, 18, 18, 18, 18]
    assert plans[1] == set(sorted(range(SIZE), key=lambda i: -loss_at(i, 0))[:18])
    assert all(trained[e] <= plans[e + 1] for e in (1, 2, 3))


def test_a_quarantined_sample_is_last_and_its_average_waits() -> None:
    pruner = Pruner(4, UCB(), prune_rate=0.5, num_epochs=4, on_nonfinite="quarantine", warmup_epochs=2)
    everyone = torch.arange(4)
    pruner.loss(everyone, torch.tensor([9.0, float("nan"), 1.0, 2.0]))
    pruner.end_epoch()
    pruner.loss(everyone, torch.tensor([float("inf"), 5.0, 1.0, 2.0]))
    pruner.end_epoch()
    assert set(pruner.plan.ids.tolist()) == {1, 3}
    assert pruner.table.extra["loss_mean"].tolist() == [9.0, 5.0, 1.0, 2.0]
    assert pruner.table.extra["loss_variance"].tolist() == [0.0] * 4


def test_losses_beyond_reach_stay_below_the_unseen() -> None:
    huge = float(np.finfo(np.float32).max)
    pruner = Pruner(4, UCB(c=1e300), prune_rate=0.75, num_epochs=3)
    for loss in (huge, 0.0):
        pruner.loss(torch.from_numpy(pruner.plan.ids.copy()), torch.tensor([loss]))
        pruner.observe(torch.tensor([0, 1, 2]), torch.tensor([loss, huge, 1.0]))
        pruner.end_epoch()
    assert np.isfinite(pruner.table.extra["loss_variance"]).all()
    untouched = set(range(4)) - set(np.flatnonzero(pruner.table.last_seen >= 0).tolist())
    assert set(pruner.plan.ids.tolist()) <= (untouched or {0, 1, 2, 3})


def test_every_k_is_met_whatever_the_table_holds() -> None:
    loss = np.array([np.inf, np.nan, 0.5, np.inf, 0.5, np.nan, 0.1])
    table = table_of(loss)
    for policy in (UCB(), EpsilonGreedy(0.5), EpsilonGreedy(1.0), UCB(period=2)):
        held = ScoreTable(7, policy.columns)
        held.load_state_dict(
            table.state_dict() | {name: torch.full((7,), value) for name, value in policy.columns.items()}
        )
        for k in range(1, 7):
            for epoch in (0, 1):
                ids = make_plan(policy, Request(held, k, epoch, 9, 0)).ids.tolist()
                assert len(set(ids)) == k
                if k <= 5 and epoch == 0:
                    assert not {1, 5} & set(ids)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: EpsilonGreedy(epsilon=1.5), r"epsilon is 1.5; allowed: a number in \[0, 1\]"),
        (lambda: EpsilonGreedy(epsilon=float("nan")), "epsilon is nan"),
        (lambda: EpsilonGreedy(alpha=0), r"alpha is 0; allowed: a number in \(0, 1\]"),
        (lambda: EpsilonGreedy(period=0), "period is 0; allowed: an integer of at least 1"),
        (lambda: UCB(c=-1), "c is -1; allowed: a finite number of at least 0"),
        (lambda: UCB(c=float("inf")), "c is inf"),
        (lambda: UCB(alpha=1.1), r"alpha is 1.1; allowed: a number in \(0, 1\]"),
        (lambda: UCB(period=2.5), "period is 2.5; allowed: an integer of at least 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(build: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build()


@pytest.mark.parametrize("policy", [EpsilonGreedy(), UCB()])
def test_an_epoch_that_is_looked_at_in_between_averages_each_sample_once(policy: Any) -> None:
    def run(*, looked_at: bool) -> dict[str, Any]:
        pruner = Pruner(SIZE, policy, prune_rate=0.5, num_epochs=5)
        for epoch in pruner.epochs():
            for ids in IdBatches(pruner, 8):
                pruner.loss(ids, torch.tensor([loss_at(i, epoch) for i in ids.tolist()]))
                if looked_at:
                    pruner.report()
            pruner.observe(torch.arange(SIZE), torch.tensor([loss_at(i, epoch + 50) for i in range(SIZE)]))
        return {name: column.tolist() for name, column in pruner.table.extra.items()}

    assert run(looked_at=True) == run(looked_at=False)
