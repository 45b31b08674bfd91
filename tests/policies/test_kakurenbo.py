"""KAKURENBO against a naive loop over runs whose logits are made up, hidden samples' forward passes included."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cases import table_of

from emprune import ArgumentError, IdBatches, Pruner, Request
from emprune.epoch.plan import make_plan
from emprune.policies.kakurenbo import Kakurenbo
from emprune.scoring import classification, confidence

SIZE, EPOCHS, RATE = 80, 20, 0.5


def outputs(ids: torch.Tensor, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels: samples get easier at a pace of their own, some are forgotten again."""
    noise = np.stack([np.random.default_rng([int(i), epoch]).normal(0, 0.7, 5) for i in ids])
    labels = ids % 5
    margin = epoch * (ids % 7 + 1).float() / 18 - 3.0 * (ids % 11 == epoch % 11)
    logits = torch.tensor(noise, dtype=torch.float32)
    logits[torch.arange(len(ids)), labels] += margin
    return logits, labels


def inputs(ids: torch.Tensor, epoch: int, smoothing: float) -> dict[str, torch.Tensor]:
    logits, labels = outputs(ids, epoch)
    loss = classification(logits, labels, label_smoothing=smoothing).loss
    return {"loss": loss, "confidence": confidence(logits, labels)}


def train(pruner: Pruner, seen: Callable[[int, list[int]], None], smoothing: float = 0.1, until: int = EPOCHS) -> None:
    """Train and then forward what was hidden, as a training loop does for ``observes_pruned``."""
    while pruner.epoch < until:
        trained = []
        for ids in IdBatches(pruner, 9):
            pruner.loss(ids, **inputs(ids, pruner.epoch, smoothing))
            trained += ids.tolist()
        if pruner.policy.observes_pruned and len(hidden := torch.from_numpy(pruner.plan.pruned_ids)):
            pruner.observe(hidden, **inputs(hidden, pruner.epoch, smoothing))
        seen(pruner.epoch, trained)
        pruner.end_epoch()


class Naive:
    """The released code's loop: sort, cut, move back; every sample's values are those of the last epoch."""

    def __init__(self, tau: float, reduce: bool, smoothing: float) -> None:
        self.tau, self.reduce, self.smoothing = tau, reduce, smoothing
        self.moved_back = 0

    def fraction(self, epoch: int) -> float:
        if not self.reduce or epoch < 0.3 * EPOCHS:
            return RATE
        return RATE * (0.8 if epoch < 0.6 * EPOCHS else 0.6 if epoch < 0.8 * EPOCHS else 0.4)

    def hidden(self, epoch: int) -> set[int]:
        if epoch == 0:
            return set()
        logits, labels = outputs(torch.arange(SIZE), epoch - 1)
        q = torch.softmax(logits.double(), dim=1)
        smooth = -torch.log(q).mean(dim=1) * self.smoothing
        losses = -(1 - self.smoothing) * torch.log(q[torch.arange(SIZE), labels]) + smooth
        candidates = sorted(range(SIZE), key=lambda i: losses[i].item())[: int(self.fraction(epoch) * SIZE + 1e-9)]
        hidden = set()
        for i in candidates:
            if logits[i].argmax() == labels[i] and q[i].max() >= self.tau:
                hidden.add(i)
            else:
                self.moved_back += 1
        return hidden


@pytest.mark.parametrize(("tau", "reduce", "smoothing"), [(0.7, True, 0.1), (0.7, False, 0.0), (0.3, True, 0.3)])
def test_a_run_is_the_naive_loop(tau: float, reduce: bool, smoothing: float) -> None:
    naive, counts = Naive(tau, reduce, smoothing), []

    def compare(epoch: int, trained: list[int]) -> None:
        hidden = naive.hidden(epoch)
        assert set(trained) == set(range(SIZE)) - hidden
        assert pruner.learning_rate_factor == pytest.approx(1 / (1 - len(hidden) / SIZE))
        counts.append(len(hidden))

    pruner = Pruner(SIZE, Kakurenbo(tau, reduce), prune_rate=RATE, num_epochs=EPOCHS)
    train(pruner, compare, smoothing)
    assert counts[0] == 0  # what was never seen is never hidden
    assert 0 < min(counts[12:]) <= max(counts) <= RATE * SIZE
    assert naive.moved_back > 20
    if tau > 0.5:
        assert len(set(counts)) > 8


def test_with_plain_cross_entropy_it_hides_the_lowest_losses_below_a_limit() -> None:
    """Why an exact rate would make LFL of it: confidence says nothing that the loss does not."""
    losses = torch.full((SIZE,), torch.inf)

    def compare(epoch: int, trained: list[int]) -> None:
        nonlocal losses
        if epoch:
            lowest = set(torch.argsort(losses)[: int(RATE * SIZE)].tolist())
            assert set(range(SIZE)) - set(trained) == {i for i in lowest if losses[i] <= -math.log(0.7)}
        losses = inputs(torch.arange(SIZE), epoch, 0.0)["loss"]

    train(Pruner(SIZE, Kakurenbo(reduce=False), prune_rate=RATE, num_epochs=EPOCHS), compare, smoothing=0.0)


def test_state_goes_on_in_mid_run() -> None:
    whole: dict[int, list[int]] = {}
    train(Pruner(SIZE, Kakurenbo(), prune_rate=RATE, num_epochs=EPOCHS), whole.__setitem__)
    first, second = (Pruner(SIZE, Kakurenbo(), prune_rate=RATE, num_epochs=EPOCHS) for _ in range(2))
    train(first, lambda epoch, trained: None, until=11)
    ids = next(iter(IdBatches(first, 9)))
    first.loss(ids, **inputs(ids, 11, 0.1))
    second.load_state_dict(first.state_dict())
    halves: dict[int, list[int]] = {}
    train(second, halves.__setitem__)
    assert ids.tolist() + halves[11] == whole[11]
    assert [halves[e] for e in range(12, EPOCHS)] == [whole[e] for e in range(12, EPOCHS)]


def test_ties_at_the_limit_are_broken_at_random() -> None:
    table = table_of(np.full(10, 0.1), confidence=np.full(10, 0.9))
    plans = {frozenset(make_plan(Kakurenbo(), Request(table, 5, e, 100, 0)).ids.tolist()) for e in range(1, 30)}
    assert {len(plan) for plan in plans} == {5}
    assert len(plans) > 10


def test_unseen_samples_stay_and_quarantined_ones_go() -> None:
    loss = np.array([0.1, np.nan, np.inf, 0.2, np.inf, np.nan])
    sure = np.array([0.9, np.nan, 0.0, 0.1, 0.0, 0.9])
    plan = make_plan(Kakurenbo(), Request(table_of(loss, confidence=sure), 1, 1, 10, 0))
    assert set(plan.ids.tolist()) == {2, 3, 4}
    plan = make_plan(Kakurenbo(), Request(table_of(np.full(6, np.nan), confidence=np.zeros(6)), 1, 1, 10, 0))
    assert len(plan) == 6


@pytest.mark.parametrize("epoch", range(10))
def test_the_fraction_falls_at_three_six_and_eight_tenths_of_the_run(epoch: int) -> None:
    table = table_of(np.linspace(0, 1, 100), confidence=np.ones(100))
    kept = len(make_plan(Kakurenbo(), Request(table, 30, epoch, 10, 0)))
    assert 100 - kept == [70, 70, 70, 56, 56, 56, 42, 42, 28, 28][epoch]
    assert len(make_plan(Kakurenbo(reduce=False), Request(table, 30, epoch, 10, 0))) == 30


def test_confidence_given_as_a_memory_term_is_refused() -> None:
    logits, labels = outputs(torch.arange(4), 0)
    pruner = Pruner(4, Kakurenbo(), prune_rate=0.5, num_epochs=2)
    with pytest.raises(
        ArgumentError, match=r"confidence is None; .*'kakurenbo' reads loss, confidence\. .*scoring\.conf"
    ):
        pruner.loss(torch.arange(4), *classification(logits, labels))


def test_it_has_no_exact_rate_and_says_so() -> None:
    with pytest.raises(ArgumentError, match="policy is 'kakurenbo'; allowed: a policy with an exact rate"):
        Pruner(9, Kakurenbo(), prune_rate=0.5, num_epochs=2).total_steps(3)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Kakurenbo(tau=0), r"tau is 0; allowed: a number in \(0, 1\]"),
        (lambda: Kakurenbo(tau=float("nan")), "tau is nan"),
        (lambda: Kakurenbo(reduce="yes"), "reduce is 'yes'; allowed: True or False"),
    ],
)
def test_settings_that_mean_nothing_are_refused(build: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build()
