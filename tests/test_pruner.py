"""The pruner's accounting and the order of epochs; a whole training loop with a model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import play, step
from torch.utils.data import TensorDataset

import emprune
from emprune import ArgumentError, EpochOrderError, IdBatches, PrunedLoader, Pruner


def test_a_run_keeps_exactly_what_was_asked_for() -> None:
    pruner = Pruner(100, "emp", prune_rate=0.7, num_epochs=10, anneal=0.2, budget="run")
    rows = list(play(pruner, batch_size=9))
    report = pruner.report()
    assert sum(len(ids) for _, ids, _ in rows) == report.samples_backward == report.samples_forward == 300
    assert report.realised_rate == pytest.approx(0.7)
    assert (report.epochs, report.num_epochs, report.num_samples, report.never_trained) == (10, 10, 100, 0)
    assert report.steps == len(rows) == pruner.total_steps(9)
    assert report.seconds_selecting > 0


def test_the_report_may_be_asked_for_at_any_time() -> None:
    pruner = Pruner(10, "random", prune_rate=0.5, num_epochs=2)
    report = pruner.report()
    assert (report.epochs, report.steps, report.realised_rate, report.never_trained) == (0, 0, 0.0, 10)
    step(pruner, torch.from_numpy(pruner.plan.ids[:2].copy()))
    report = pruner.report()
    assert (report.epochs, report.steps, report.realised_rate, report.never_trained) == (1, 1, 0.8, 8)


def test_epochs_go_in_order_and_end() -> None:
    pruner = Pruner(10, "random", prune_rate=0.5, num_epochs=2)
    with pytest.raises(EpochOrderError, match="epoch 0 ends, but none of its 5 samples was observed"):
        pruner.end_epoch()
    assert pruner.epoch == 0
    list(play(pruner))
    assert pruner.epoch == 2
    for act in (lambda: pruner.plan, lambda: pruner.start, pruner.end_epoch, lambda: step(pruner, torch.arange(2))):
        with pytest.raises(EpochOrderError, match="the run of 2 epochs is over"):
            act()


def test_breaking_out_of_an_epoch_goes_on_in_it() -> None:
    pruner = Pruner(10, "random", prune_rate=0.5, num_epochs=2)
    for _ in pruner.epochs():
        step(pruner, next(iter(IdBatches(pruner, 2))))
        break
    assert pruner.epoch == 0
    assert next(pruner.epochs()) == 0


def test_observing_alone_is_no_training() -> None:
    pruner = Pruner(10, "lfl", prune_rate=0.5, num_epochs=2)
    pruner.observe(torch.arange(10), torch.arange(10.0))
    report = pruner.report()
    assert (report.samples_forward, report.samples_backward, report.steps, report.epochs) == (10, 0, 0, 0)
    with pytest.raises(EpochOrderError, match="none of its 5 samples was observed"):
        pruner.end_epoch()


def test_seed_decides_the_run() -> None:
    def run(seed: int) -> list[Any]:
        return list(play(Pruner(40, "emp", prune_rate=0.5, num_epochs=3, seed=seed)))

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_an_unknown_answer_to_nonfinite_losses_is_refused() -> None:
    with pytest.raises(ArgumentError, match="on_nonfinite is 'ignore'; allowed: 'error' or 'quarantine'"):
        Pruner(10, "emp", prune_rate=0.5, num_epochs=2, on_nonfinite="ignore")


@pytest.mark.parametrize("policy", ["emp", "infobatch"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_training_loop_learns(policy: str, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(0)
    points = torch.randn(200, 2, generator=random)
    labels = (points[:, 0] * points[:, 1] > 0).long()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    pruner = Pruner(200, policy, prune_rate=0.5, num_epochs=30, seed=0)
    loader = PrunedLoader(TensorDataset(points, labels), pruner, batch_size=20)
    for _ in pruner.epochs():
        for ids, (inputs, target) in loader:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
                logits = model(inputs)
                loss = pruner.loss(ids, *emprune.scoring.classification(logits, target))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    accuracy = (model(points).argmax(1) == labels).float().mean().item()
    assert accuracy > 0.93
    assert pruner.report().samples_backward == 30 * 100


def test_without_pruning_a_step_is_the_plain_one() -> None:
    """Its gradients are those of a mean cross-entropy."""
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    ours, plain = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    pruner = Pruner(6, "emp", prune_rate=0.0, num_epochs=1)
    pruner.loss(torch.arange(6), *emprune.scoring.classification(ours, labels)).backward()
    torch.nn.functional.cross_entropy(plain, labels).backward()
    torch.testing.assert_close(ours.grad, plain.grad)


def test_consumed_samples_are_those_of_the_running_epoch() -> None:
    pruner = Pruner(20, "random", prune_rate=0.5, num_epochs=2)
    assert pruner.consumed == 0
    batches = list(IdBatches(pruner, 4))
    step(pruner, batches[0])
    step(pruner, batches[1])
    assert pruner.consumed == 8
    step(pruner, batches[1])
    assert pruner.consumed == 8
    pruner.end_epoch(partial=True)
    assert pruner.consumed == 0


def test_a_batch_is_selected_from_by_an_in_batch_policy_in_pruned_epochs_alone() -> None:
    pruners = [Pruner(8, name, prune_rate=0.5, num_epochs=2, warmup_epochs=1) for name in ("selective-backprop", "lfl")]
    found = []
    for pruner in pruners:
        for _ in pruner.epochs():
            found.append(pruner.selects_in_batch)
            step(pruner, torch.from_numpy(pruner.plan.ids.copy()))
    assert found == [False, True, False, False]


def test_a_pruner_is_shown_by_what_it_does() -> None:
    pruner = Pruner(1000, "emp", prune_rate=0.7, num_epochs=2, anneal=0.5)
    assert repr(pruner) == "Pruner(emp, rate 0.7, epoch 0 of 2, keeps 300 of 1000)"
    list(play(pruner, 100))
    assert repr(pruner) == "Pruner(emp, all 2 epochs done, 1000 samples)"


@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        ("full", "rate 0, epoch 0 of 2, keeps 10 of 10"),
        ("selective-backprop", "rate 0.7, epoch 0 of 2, keeps 3 of 10"),
        ("infobatch-published", "epoch 0 of 2, keeps a part of 10 that follows from the scores"),
    ],
)
def test_a_pruner_shows_what_its_policy_trains_whatever_the_rate(policy: str, shown: str) -> None:
    assert repr(Pruner(10, policy, prune_rate=0.7, num_epochs=2)) == f"Pruner({policy}, {shown})"
