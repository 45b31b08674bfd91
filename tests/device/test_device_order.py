"""On a device a second round is noticed once it has begun, passes over a batch are counted, and no step waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import cycle, islice

import pytest
import torch
from recorded import BATCH, N, new_pruner

from emprune import EpochOrderError, IdBatches, Pruner

Forbid = Callable[[], AbstractContextManager[None]]
STEPS = N // 2 // BATCH  # of an epoch


def step(pruner: Pruner, ids: torch.Tensor, device: torch.device) -> None:
    loss = (torch.sin(ids.cpu().float()) + 2).to(device)
    pruner.loss(ids, loss.requires_grad_(), loss.detach()).backward()


def train(pruner: Pruner, batches: Iterable[torch.Tensor], device: torch.device, passes: int = 1) -> None:
    for ids in batches:
        for _ in range(passes):
            step(pruner, ids.to(device), device)


@pytest.mark.parametrize("kind", ["iterated again", "itertools.cycle"])
def test_a_second_round_is_an_error(device: torch.device, kind: str) -> None:
    pruner = new_pruner("emp")
    batches = IdBatches(pruner, BATCH)
    rounds = cycle(batches) if kind == "itertools.cycle" else (ids for _ in range(3) for ids in batches)
    with pytest.raises(EpochOrderError, match="begins a second round over the plan of epoch 0"):
        train(pruner, islice(rounds, 3 * STEPS), device)
    assert pruner.report().steps == STEPS


@pytest.mark.parametrize("passes", [2, 3, 20])
def test_a_second_round_of_passes_is_an_error(device: torch.device, passes: int) -> None:
    pruner = new_pruner("emp")
    with pytest.raises(EpochOrderError, match="begins a second round"):
        train(pruner, islice(cycle(IdBatches(pruner, BATCH)), 4 * STEPS), device, passes)
    assert pruner.report().steps >= passes * STEPS


@pytest.mark.parametrize("policy", ["emp", "selective-backprop"])
def test_two_passes_over_each_batch_count_once(device: torch.device, policy: str) -> None:
    pruner = new_pruner(policy)
    for _ in range(2):
        for ids in IdBatches(pruner, BATCH):
            here = ids.to(device)
            for _ in range(2):
                step(pruner, here, device)
        pruner.end_epoch()
    assert pruner.report().samples_backward == pruner.table.times_trained.sum() == N
    assert pruner.report().samples_forward == 4 * len(pruner.plan) if policy == "emp" else 4 * N


def test_plain_steps_do_not_wait_to_look_for_it(accelerator: torch.device, no_waiting: Forbid) -> None:
    """Nor do those after a look at the next batches, but for one."""
    pruner = new_pruner("emp")
    for _ in range(2):
        batches = [ids.to(accelerator) for ids in IdBatches(pruner, BATCH)]
        losses = [torch.ones(len(ids), device=accelerator) for ids in batches]
        for number, (ids, loss) in enumerate(zip(batches, losses, strict=True)):
            if number == 1:
                next(iter(IdBatches(pruner, BATCH)))
                pruner.loss(ids, loss, loss)
                continue
            with no_waiting():
                pruner.loss(ids, loss, loss)
        pruner.end_epoch()
