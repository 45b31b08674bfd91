"""Several passes over a batch are told from a second round, by what a step comes back to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cases import memory_of

from emprune import IdBatches, Pruner
from emprune.epoch.passes import Passes
from emprune.epoch.plan import EpochPlan
from emprune.scoring import classification

SIZE = 40
PLAN = EpochPlan(0, SIZE, np.arange(SIZE), np.ones(SIZE, dtype=np.float32))


def after(*batches: range, **told: Any) -> Passes:
    passes = Passes(PLAN, SIZE)
    if told:
        passes.iteration_begins(**told)
    for batch in batches:
        assert not comes_back(passes, batch)
        passes.add(np.array(batch).tobytes(), len(batch))
    return passes


def comes_back(passes: Passes, ids: range) -> bool:
    return passes.begins_second_round(np.array(ids).tobytes(), len(ids))


def test_the_first_half_comes_back_when_all_was_passed() -> None:
    passes = after(*(range(begin, begin + 10) for begin in (0, 10, 20)))
    assert not comes_back(passes, range(10))
    passes.add(np.arange(30, 40).tobytes(), 10)
    assert [comes_back(passes, range(begin, begin + 10)) for begin in (0, 10, 20, 30)] == [True, True, False, False]
    assert passes.distinct == SIZE


def test_the_first_step_comes_back_in_an_iteration_that_began_later() -> None:
    passes = after(range(10), range(10, 20))
    passes.iteration_begins(SIZE, 10)
    assert not comes_back(passes, range(10, 20))
    assert comes_back(passes, range(10))


def test_passes_over_a_batch_are_no_round() -> None:
    passes = after(*[range(10)] * 8, *[range(10, 20)] * 8, *[range(20, 40)] * 4)
    assert (passes.passed, passes.distinct, passes.are_many) == (240, SIZE, False)


def test_an_epoch_of_one_batch_may_be_passed_in_parts() -> None:
    parts = [range(10), range(10, 20), range(20, 40)]
    after(*parts * 3, share=SIZE, batch_size=50)
    assert comes_back(after(*parts), range(10))  # not known to be one


def test_what_drop_last_leaves_out_is_not_waited_for() -> None:
    batches = [range(begin, begin + 12) for begin in (0, 12, 24)]
    assert comes_back(after(*batches, share=36, batch_size=12), batches[0])
    assert not comes_back(after(*batches), range(36, 40))


def sam_step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, loss_of: Any, rho: float = 0.05) -> None:
    """Sharpness-aware minimisation (arXiv:2010.01412): the gradient at the worst point nearby, from a second pass."""
    loss_of().backward()
    with torch.no_grad():
        norm = torch.sqrt(sum((p.grad**2).sum() for p in model.parameters())) + 1e-12
        shifts = [p.grad * (rho / norm) for p in model.parameters()]
        for parameter, shift in zip(model.parameters(), shifts, strict=True):
            parameter += shift
    optimizer.zero_grad()
    loss_of().backward()
    with torch.no_grad():
        for parameter, shift in zip(model.parameters(), shifts, strict=True):
            parameter -= shift
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("kind", ["sam", "lbfgs", "two views", "two calls"])
def test_the_realised_rate_counts_samples_where_batches_are_passed_several_times(kind: str) -> None:
    data = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    labels = (data.sum(1) > 0).long()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 2)
    pruner = Pruner(100, "emp", prune_rate=0.7, num_epochs=3)
    plain = torch.optim.SGD(model.parameters(), lr=0.1)
    passes = 0

    def loss_of(ids: torch.Tensor) -> torch.Tensor:
        nonlocal passes
        passes += len(ids)
        return pruner.loss(ids, *classification(model(data[ids]), labels[ids]))

    for _ in pruner.epochs():
        for ids in IdBatches(pruner, 8):
            if kind == "sam":
                sam_step(model, plain, lambda ids=ids: loss_of(ids))
                continue

            def closure(ids: torch.Tensor = ids) -> torch.Tensor:
                model.zero_grad()
                loss = loss_of(ids.repeat(2)) if kind == "two views" else loss_of(ids)
                loss = loss + loss_of(ids) if kind == "two calls" else loss
                loss.backward()
                return loss

            (torch.optim.LBFGS(model.parameters(), max_iter=5) if kind == "lbfgs" else plain).step(closure)
    report = pruner.report()
    assert (report.samples_backward, report.realised_rate) == (90, pytest.approx(0.7))
    assert report.samples_forward == passes >= 180
    assert set(pruner.table.times_trained.tolist()) <= {0, 1, 2, 3}


def test_the_last_pass_is_the_score_and_what_was_observed_later_replaces_it() -> None:
    pruner = Pruner(4, "emp", prune_rate=0.0, num_epochs=1)
    ids = torch.arange(4)
    for loss in (1.0, 2.0):
        pruner.loss(ids, torch.full((4,), loss), memory_of(ids))
        pruner.observe(ids[:1], torch.tensor([loss + 5]), memory_of(ids[:1]))
        pruner.loss(ids[1:2], torch.tensor([loss + 7]), memory_of(ids[1:2]))
    pruner.end_epoch()
    assert pruner.table.loss.tolist() == [7.0, 9.0, 2.0, 2.0]
    assert pruner.table.times_trained.tolist() == [1] * 4
