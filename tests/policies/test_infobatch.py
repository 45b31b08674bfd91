"""InfoBatch: who stays and with which weight; the published rule misses the rate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import loss_of, memory_of, table_of

from emprune import ArgumentError, InfoBatch, Pruner, Request
from emprune.epoch.plan import make_plan


def test_infobatch_keeps_what_is_above_the_mean_and_reweights_the_rest() -> None:
    loss = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 3.0])
    plan = make_plan(InfoBatch(below_share=0.5, weight_sum="all"), Request(table_of(loss), 3, 0, 10, 0))
    weights = dict(zip(plan.ids.tolist(), plan.weights.tolist(), strict=True))
    assert weights.pop(5) == 1
    assert list(weights.values()) == [2.5, 2.5]
    plan = make_plan(InfoBatch(below_share=0.5), Request(table_of(loss), 3, 0, 10, 0))
    assert plan.weights.mean() == pytest.approx(1)


def test_infobatch_as_published_misses_the_rate_and_says_so() -> None:
    pruner = Pruner(6, "infobatch-published", prune_rate=0.5, num_epochs=2, warmup_epochs=1)
    pruner.loss(torch.arange(6), torch.tensor([0.1, 0.1, 0.1, 0.1, 3.0, 3.0]))
    pruner.end_epoch()
    assert len(pruner.plan) == 2 + 2
    assert set(pruner.plan.weights.tolist()) == {1.0, 2.0}
    with pytest.raises(ArgumentError, match="policy is 'infobatch-published'; allowed: a policy with an exact rate"):
        pruner.total_steps(2)


def test_the_loss_is_the_weighted_mean_of_the_batch() -> None:
    pruner = Pruner(20, "infobatch", prune_rate=0.5, num_epochs=2, warmup_epochs=1)
    everyone = torch.arange(20)
    assert pruner.loss(everyone, loss_of(everyone)).item() == pytest.approx(loss_of(everyone).mean().item())
    pruner.end_epoch()
    ids = torch.from_numpy(pruner.plan.ids[:4].copy())
    loss = loss_of(ids).requires_grad_()
    weights = pruner.plan.weight_of[ids.numpy()]
    assert len(set(weights.tolist())) > 1
    total = pruner.loss(ids, loss, memory_of(ids))
    assert total.item() == pytest.approx(float((loss.detach().numpy() * weights).mean()))
    total.backward()
    assert loss.grad.tolist() == pytest.approx((weights / 4).tolist())
