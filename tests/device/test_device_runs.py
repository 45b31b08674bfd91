"""Given the same values, a run on a device is the CPU's to the bit: plans, choices in a batch, table, state, report."""

from __future__ import annotations

import functools

import pytest
import torch
from recorded import BATCH, EPOCHS, POLICIES, Epoch, new_pruner, same_reports, same_states, tell, train

from emprune import IdBatches, InBatchPolicy

HOST = torch.device("cpu")


@functools.cache
def recorded(policy: str) -> list[Epoch]:
    return train(policy)


@pytest.mark.parametrize("ids_on", ["host", "device"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_run_is_that_of_the_cpu(device: torch.device, policy: str, ids_on: str) -> None:
    pruner, weights, slopes = new_pruner(policy), set(), set()
    for epoch in recorded(policy):
        assert pruner.plan.digest == epoch.digest
        weights |= set(pruner.plan.weights.tolist())
        slopes |= {value for step in epoch.steps for value in step.slope.tolist()}
        tell(pruner, epoch.steps, device, ids_on=HOST if ids_on == "host" else device)
        pruner.end_epoch()
        same_states(pruner.state_dict(), epoch.state)
        same_reports(pruner.report(), epoch.report)
    assert (len(weights) > 1) == (policy == "infobatch")
    assert (0.0 in slopes) == isinstance(pruner.policy, InBatchPolicy)


@pytest.mark.parametrize("way", ["to the CPU", "to the device"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_state_goes_on_elsewhere_in_mid_epoch(device: torch.device, policy: str, way: str) -> None:
    before, after = (device, HOST) if way == "to the CPU" else (HOST, device)
    epochs, saved, restored = recorded(policy), new_pruner(policy), new_pruner(policy)
    tell(saved, epochs[0].steps, before, ids_on=before)
    saved.end_epoch()
    tell(saved, epochs[1].steps[:2], before, ids_on=before)
    state = saved.state_dict()
    assert {value.device for value in state.values() if isinstance(value, torch.Tensor)} == {HOST}
    # As torch.load(map_location=device) gives it.
    moved = {name: value.to(after) if isinstance(value, torch.Tensor) else value for name, value in state.items()}
    restored.load_state_dict(moved)
    same_states(restored.state_dict(), state)
    for number in range(1, EPOCHS):
        steps = epochs[number].steps[2 if number == 1 else 0 :]
        for ids, step in zip(IdBatches(restored, BATCH), steps, strict=True):
            assert torch.equal(ids, step.ids)
        tell(restored, steps, after, ids_on=after)
        restored.end_epoch()
        same_states(restored.state_dict(), epochs[number].state)


@pytest.mark.parametrize("size", [BATCH, 3 * BATCH])
def test_equal_losses_rank_by_their_place_in_the_batch(device: torch.device, size: int) -> None:
    """Where the order of ties is left to the device, other samples are trained there: sorting must be stable."""
    slopes = []
    for where in (HOST, device):
        pruner = new_pruner("selective-backprop", on_nonfinite="quarantine")
        for ids in IdBatches(pruner, size):
            values = torch.tensor([1.0, 1.0, torch.nan, 2.0]).repeat(size // 4)
            loss = values.to(where, copy=True).requires_grad_()
            pruner.loss(ids, loss).backward()
            slopes.append(loss.grad.cpu())
    half = len(slopes) // 2
    assert all(torch.equal(*pair) for pair in zip(slopes[:half], slopes[half:], strict=True))


@pytest.mark.parametrize("policy", ["emp", "selective-backprop"])
def test_steps_of_one_epoch_may_come_from_several_devices(device: torch.device, policy: str) -> None:
    """An evaluation of the samples left out, or a part of a step, may run on another device than training does."""
    pruner = new_pruner(policy)
    for epoch in recorded(policy):
        for number, step in enumerate(epoch.steps):
            tell(pruner, [step], device if number % 2 else HOST, ids_on=device if number % 3 else HOST)
        pruner.end_epoch()
        same_states(pruner.state_dict(), epoch.state)


def test_what_an_epoch_left_out_is_observed(device: torch.device) -> None:
    (first, *_), pruners = recorded("emp"), []
    for where in (HOST, device):
        pruner = new_pruner("emp")
        tell(pruner, first.steps, where, ids_on=where)
        ids = torch.from_numpy(pruner.plan.pruned_ids)
        values = torch.linspace(0, 1, len(ids))
        pruner.observe(ids.to(where), values.to(where), values.flip(0).to(where), epoch=0)
        pruner.end_epoch()
        assert not pruner.table.unseen.any()
        pruners.append(pruner)
    same_states(pruners[1].state_dict(), pruners[0].state_dict())
    assert pruners[1].plan.digest == pruners[0].plan.digest
