"""No step makes the host wait for the device: nothing is read, and nothing copied that must be whole at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from recorded import BATCH, INPUTS, LABELS, POLICIES, WEIGHTS, new_pruner

from emprune import IdBatches, InBatchPolicy
from emprune.scoring import classification, gradient_products, tokens

Forbid = Callable[[], AbstractContextManager[None]]
ON_NONFINITE = [(policy, "error") for policy in POLICIES] + [("infobatch", "quarantine")]


def test_waiting_is_noticed(accelerator: torch.device, no_waiting: Forbid) -> None:
    values, host = torch.arange(3.0, device=accelerator), torch.ones(3)
    reads: list[Callable[[], object]] = [
        lambda: values.sum().item(),
        lambda: values.nonzero(),
        lambda: values[values > 0],
        lambda: values.cpu(),
        lambda: host.to(accelerator),
    ]
    for read in reads:
        with no_waiting(), pytest.raises(RuntimeError, match="synchronizing"):
            read()
        read()
    with no_waiting():
        host.to(accelerator, non_blocking=True)
        values.sum() + 1


@pytest.mark.parametrize("ids_on", ["host", "device"])
@pytest.mark.parametrize(("policy", "on_nonfinite"), ON_NONFINITE)
def test_steps_of_training(
    accelerator: torch.device, no_waiting: Forbid, policy: str, on_nonfinite: str, ids_on: str
) -> None:
    """Whole epochs, the first steps included, in which weights come to the device."""
    pruner = new_pruner(policy, on_nonfinite=on_nonfinite)
    inputs, labels = INPUTS.to(accelerator), LABELS.to(accelerator)
    first, last = (weight.to(accelerator, copy=True).requires_grad_() for weight in WEIGHTS)
    optimizer = torch.optim.SGD([first, last], lr=0.3)
    for _ in range(3):
        batches = list(IdBatches(pruner, BATCH))
        with no_waiting():
            for ids in batches:
                here = ids.to(accelerator, non_blocking=True)
                hidden = torch.tanh(inputs[here] @ first)
                logits = hidden @ last
                scores = classification(logits, labels[here])
                further = {}
                if "gradient_products" in pruner.policy.inputs:
                    further["gradient_products"] = gradient_products(logits, labels[here], hidden)
                pruner.loss(ids if ids_on == "host" else here, *scores, **further).backward()
                optimizer.step()
                optimizer.zero_grad()
            if not isinstance(pruner.policy, InBatchPolicy):
                rest = torch.from_numpy(pruner.plan.pruned_ids).to(accelerator, non_blocking=True)
                with torch.no_grad():
                    scores = classification(torch.tanh(inputs[rest] @ first) @ last, labels[rest])
                pruner.observe(rest, *scores)
        pruner.end_epoch()
    assert pruner.table.times_trained.sum() == sum(pruner.kept[:3])
    assert first.isfinite().all().item()


@pytest.mark.parametrize("kernel", ["plain", "auto"])
@pytest.mark.parametrize("packed", [False, True])
def test_scores_of_sequences(accelerator: torch.device, no_waiting: Forbid, packed: bool, kernel: str) -> None:
    logits = torch.randn(2, 6, 11, generator=torch.Generator().manual_seed(0)).to(accelerator).requires_grad_()
    on_host = torch.arange(12).view(2, 6) % 11
    here = on_host.to(accelerator)
    ids = torch.tensor([[0, 0, 0, 1, 1, -1], [2] * 6]).to(accelerator) if packed else None
    with no_waiting():
        for labels in (here, on_host):  # those on the host are looked at there
            found = tokens(
                logits, labels, shift=True, sequence_ids=ids if labels is here else None, label_smoothing=0.1,
                num_sequences=3 if packed and labels is here else None, kernel=kernel, memory_gradient=True,
            )  # fmt: skip
            (found.loss.sum() + found.memory.sum()).backward()
    assert logits.grad.isfinite().all().item()
