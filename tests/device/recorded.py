"""A run on the CPU, what its steps gave the pruner, and the same values given to another pruner from a device."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch

from emprune import IdBatches, Pruner, Report
from emprune.scoring import classification, gradient_products

N, BATCH, CLASSES, EPOCHS = 96, 16, 4, 4
POLICIES = ["emp", "infobatch", "random", "selective-backprop", "divbs"]

_RNG = torch.Generator().manual_seed(0)
INPUTS = torch.randn(N, 8, generator=_RNG)
LABELS = torch.randint(0, CLASSES, (N,), generator=_RNG)
WEIGHTS = (torch.randn(8, 12, generator=_RNG) / 2, torch.randn(12, CLASSES, generator=_RNG) / 2)


class Step(NamedTuple):
    """Of one step: what the pruner was given, the training loss, and the loss's gradient by sample."""

    ids: torch.Tensor
    loss: torch.Tensor
    memory: torch.Tensor
    further: dict[str, torch.Tensor]
    mean: torch.Tensor
    slope: torch.Tensor


class Epoch(NamedTuple):
    digest: str
    steps: list[Step]
    state: dict[str, Any]
    report: Report


def new_pruner(policy: str, **options: Any) -> Pruner:
    return Pruner(N, policy, **{"prune_rate": 0.5, "num_epochs": EPOCHS, "seed": 3} | options)


def train(policy: str) -> list[Epoch]:
    """A run of a small network on the CPU; the state and report of an epoch are those after it."""
    pruner, epochs = new_pruner(policy), []
    first, last = (weight.clone().requires_grad_() for weight in WEIGHTS)
    for _ in range(EPOCHS):
        digest, steps = pruner.plan.digest, []
        for ids in IdBatches(pruner, BATCH):
            hidden = torch.tanh(INPUTS[ids] @ first)
            scores = classification(hidden @ last, LABELS[ids])
            further = {}
            if "gradient_products" in pruner.policy.inputs:
                further["gradient_products"] = gradient_products(hidden @ last, LABELS[ids], hidden)
            scores.loss.retain_grad()
            mean = pruner.loss(ids, *scores, **further)
            mean.backward()
            steps.append(Step(ids, scores.loss.detach(), scores.memory, further, mean.detach(), scores.loss.grad))
            with torch.no_grad():
                for weight in (first, last):
                    weight -= 0.3 * weight.grad
                    weight.grad = None
        pruner.end_epoch()
        epochs.append(Epoch(digest, steps, pruner.state_dict(), pruner.report()))
    return epochs


def tell(pruner: Pruner, steps: Iterable[Step], device: torch.device, *, ids_on: torch.device) -> None:
    """Take the steps again with values on the device; weights and chosen samples must be those of the CPU."""
    for step in steps:
        loss = step.loss.to(device, copy=True).requires_grad_()
        further = {name: value.to(device) for name, value in step.further.items()}
        mean = pruner.loss(step.ids.to(ids_on), loss, step.memory.to(device), **further)
        mean.backward()
        assert mean.device == loss.device
        torch.testing.assert_close(mean.detach().cpu(), step.mean, rtol=1e-5, atol=0)
        assert torch.equal(loss.grad.cpu(), step.slope)


def same_states(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Equal to the bit, but for the seconds; and on the CPU."""
    assert found.keys() == expected.keys()
    for name, value in found.items():
        if isinstance(value, torch.Tensor):
            np.testing.assert_array_equal(value.numpy(), expected[name].numpy(), err_msg=name)
            assert value.dtype == expected[name].dtype
        elif name == "counters":
            assert value | {"seconds_selecting": 0} == expected[name] | {"seconds_selecting": 0}
        else:
            assert value == expected[name]


def same_reports(found: Report, expected: Report) -> None:
    assert dataclasses.replace(found, seconds_selecting=0) == dataclasses.replace(expected, seconds_selecting=0)
