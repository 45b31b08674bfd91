"""What the CPU says in the step, a device says at the epoch's end at the latest, with the same error and table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from recorded import BATCH, N, new_pruner

from emprune import ArgumentError, EmpruneError, EpochOrderError, IdBatches, InBatchPolicy, NonFiniteError, Pruner

HOST = torch.device("cpu")
Spoil = Callable[[Pruner, torch.Tensor, torch.Tensor, torch.Tensor], None]


def take_epoch(pruner: Pruner, device: torch.device, ids_on: torch.device, spoil: Spoil | None = None) -> list[float]:
    """An epoch in which the second step's ids, loss and memory term are spoilt; the losses of its steps."""
    found = []
    for number, ids in enumerate(IdBatches(pruner, BATCH)):
        # Not sorted by id, and different enough that InfoBatch has samples below and above its threshold.
        ids, loss, memory = ids.clone(), torch.sin(ids.float()) + 2, torch.cos(ids.float()) + 2
        if spoil and number == 1:
            spoil(pruner, ids, loss, memory)
        leaf = loss.to(device).requires_grad_()
        mean = pruner.loss(ids.to(ids_on), leaf, memory.to(device))
        mean.backward()
        found.append(mean.detach())
    pruner.end_epoch()
    return [float(mean) for mean in found]


def raises_within_the_epoch(
    pruner: Pruner, device: torch.device, ids_on: torch.device, spoil: Spoil, error: type[EmpruneError], message: str
) -> None:
    """And leaves the table as it was."""
    take_epoch(pruner, device, ids_on)
    before = {name: column.numpy() for name, column in pruner.table.state_dict().items()}
    with pytest.raises(error, match=message):
        take_epoch(pruner, device, ids_on, spoil)
    for name, column in pruner.table.state_dict().items():
        np.testing.assert_array_equal(column.numpy(), before[name], err_msg=name)
    assert pruner.epoch == 1


def spoil_values(pruner: Pruner, ids: torch.Tensor, loss: torch.Tensor, memory: torch.Tensor) -> None:
    loss[3], loss[5] = torch.nan, torch.inf
    if "memory" in pruner.policy.inputs:
        memory[7] = torch.nan


def named(pruner: Pruner, epoch: int) -> list[int]:
    """Ids whose values were spoilt."""
    ids = next(iter(IdBatches(pruner, 2 * BATCH)))[BATCH:]
    return sorted(ids[[3, 5, *([7] if "memory" in pruner.policy.inputs else [])]].tolist())


@pytest.mark.parametrize("ids_on", ["host", "device"])
@pytest.mark.parametrize("policy", ["emp", "infobatch", "selective-backprop"])
def test_values_that_are_not_finite_are_named(device: torch.device, policy: str, ids_on: str) -> None:
    where = HOST if ids_on == "host" else device
    known = new_pruner(policy)
    take_epoch(known, HOST, HOST)
    message = "NaN or infinite for .* ids " + ", ".join(map(str, named(known, 1))) + ";"
    raises_within_the_epoch(new_pruner(policy), device, where, spoil_values, NonFiniteError, message)


@pytest.mark.parametrize("ids_on", ["host", "device"])
@pytest.mark.parametrize("policy", ["emp", "infobatch", "selective-backprop"])
def test_values_that_are_not_finite_are_quarantined(device: torch.device, policy: str, ids_on: str) -> None:
    pruner = new_pruner(policy, on_nonfinite="quarantine")
    take_epoch(pruner, device, HOST if ids_on == "host" else device)
    bad = named(pruner, 1)
    losses = take_epoch(pruner, device, HOST if ids_on == "host" else device, spoil_values)
    assert np.isfinite(losses).all()
    assert pruner.table.quarantined.tolist() == bad
    assert pruner.report().quarantined_ids == tuple(bad)
    if not isinstance(pruner.policy, InBatchPolicy):
        assert not set(bad) & set(pruner.plan.ids.tolist())


@pytest.mark.parametrize("ids_on", ["host", "device"])
@pytest.mark.parametrize("policy", ["emp", "infobatch"])
def test_an_id_outside_the_plan_is_found(device: torch.device, policy: str, ids_on: str) -> None:
    def spoil(pruner: Pruner, ids: torch.Tensor, loss: torch.Tensor, memory: torch.Tensor) -> None:
        ids[2] = int(pruner.plan.pruned_ids[0])

    where = HOST if ids_on == "host" else device
    message = r"1 id\(s\) are not in the plan of the running epoch 1"
    raises_within_the_epoch(new_pruner(policy), device, where, spoil, EpochOrderError, message)


@pytest.mark.parametrize("ids_on", ["host", "device"])
@pytest.mark.parametrize("bad", [-1, N, 2**40])
@pytest.mark.parametrize("policy", ["emp", "infobatch", "selective-backprop"])
def test_an_id_that_is_no_position_is_found(device: torch.device, policy: str, bad: int, ids_on: str) -> None:
    """With weights too, where looking up a position that is not there would end the use of a CUDA device."""

    def spoil(pruner: Pruner, ids: torch.Tensor, loss: torch.Tensor, memory: torch.Tensor) -> None:
        ids[2] = bad

    where = HOST if ids_on == "host" else device
    message = f"ids is {bad}; allowed: dataset positions from 0 to {N - 1}"
    raises_within_the_epoch(new_pruner(policy), device, where, spoil, ArgumentError, message)


def test_a_device_says_nothing_in_the_step(accelerator: torch.device) -> None:
    """What the tests above raise comes from ``end_epoch`` there, and the steps after the spoilt one are taken."""
    pruner, spoilt = new_pruner("emp"), torch.full((BATCH,), torch.nan, device=accelerator)
    for ids in IdBatches(pruner, BATCH):
        pruner.loss(ids.to(accelerator), spoilt, spoilt)
    with pytest.raises(NonFiniteError, match=f"{len(pruner.plan)} sample"):
        pruner.end_epoch()
