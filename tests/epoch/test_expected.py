"""Ids that come next are known by comparing; any others are looked up, with the same outcome."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import loss_of, memory_of

from emprune import EpochOrderError, IdBatches, NonFiniteError, Pruner
from emprune.epoch.expected import ExpectedIds


def test_only_the_ids_that_come_next_are_expected() -> None:
    ids = np.array([4, 1, 7, 0, 2])
    expected = ExpectedIds(ids)
    assert expected.are_next(ids[:2].tobytes())
    assert not expected.are_next(ids[[1, 0]].tobytes())
    expected.advance(2)
    assert not expected.are_next(ids[:2].tobytes())
    assert expected.are_next(ids[2:].tobytes())
    assert not expected.are_next(np.append(ids[2:], 3).tobytes())
    assert not expected.are_next(torch.tensor([7], device="meta"))


@pytest.mark.parametrize("policy", ["emp", "infobatch"])
def test_steps_in_any_sequence_make_the_same_table(policy: str) -> None:
    tables, losses = [], []
    for shift in (0, 1, 5):
        pruner = Pruner(60, policy, prune_rate=0.5, num_epochs=3, seed=2)
        for _ in pruner.epochs():
            batches = list(IdBatches(pruner, 4))
            found = [pruner.loss(ids, loss_of(ids), memory_of(ids)).item() for ids in batches[shift:] + batches[:shift]]
        tables.append({name: column.tolist() for name, column in pruner.table.state_dict().items()})
        losses.append(sorted(found))
    assert tables[0] == tables[1] == tables[2]
    assert losses[0] == losses[1] == losses[2]


def test_what_is_wrong_is_seen_in_the_midst_of_expected_steps() -> None:
    pruner = Pruner(60, "emp", prune_rate=0.5, num_epochs=3, seed=2)
    for _ in range(2):
        first, second, third, *_ = IdBatches(pruner, 4)
        pruner.loss(first, loss_of(first), memory_of(first))
        bad = loss_of(second).clone()
        bad[2] = torch.inf
        with pytest.raises(NonFiniteError, match=f"ids {second[2].item()};"):
            pruner.loss(second, bad, memory_of(second))
        foreign = torch.from_numpy(pruner.plan.pruned_ids[:4].copy())
        with pytest.raises(EpochOrderError, match="not in the plan"):
            pruner.loss(foreign, loss_of(foreign), memory_of(foreign))
        for ids in (second, third):
            pruner.loss(ids, loss_of(ids), memory_of(ids))
        assert pruner.consumed == 12
        pruner.end_epoch(partial=True)


def test_many_values_are_looked_at_as_few_are() -> None:
    for size in (10, 5000):
        pruner = Pruner(size, "emp", prune_rate=0.0, num_epochs=1)
        values = torch.ones(size)
        values[size - 3] = torch.nan
        with pytest.raises(NonFiniteError, match=rf"for 1 sample\(s\), ids {size - 3};"):
            pruner.loss(torch.arange(size), torch.ones(size), values)
        huge = torch.full((size,), 3e38)  # finite, though their sum in float32 is not
        pruner.loss(torch.arange(size), torch.ones(size), huge)
