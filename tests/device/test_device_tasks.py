"""Yes-or-no labels, maps of classes and regression on a device: the CPU's values, no waiting, faults as NaN."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch

from emprune import IdBatches, NonFiniteError, Pruner
from emprune.scoring import binary, dense, multilabel, regression

_DRAW = torch.Generator().manual_seed(0)
LOGITS = torch.randn(6, 5, 4, 3, generator=_DRAW) * 3
YES = (torch.rand(6, 5, generator=_DRAW) < 0.5).float()
CLASSES = torch.randint(0, 5, (6, 4, 3), generator=_DRAW)
CLASSES[2] = 255
WEIGHT = torch.rand(5, generator=_DRAW)

Task = Callable[[torch.Tensor, torch.Tensor], Any]
TASKS: dict[str, tuple[Task, torch.Tensor, torch.Tensor]] = {
    "binary": (lambda x, y: binary(x, y, pos_weight=2.0), LOGITS[:, 0, 0, 0], YES[:, 0]),
    "multilabel": (
        lambda x, y: multilabel(x, y, weight=WEIGHT.to(x.device, non_blocking=True), unknown=x > 4),
        LOGITS[:, :, 0, 0], YES,
    ),
    "dense": (lambda x, y: dense(x, y, ignore_index=255, label_smoothing=0.1), LOGITS, CLASSES),
    "dense, weighted": (
        lambda x, y: dense(x, y, ignore_index=255, weight=WEIGHT.to(x.device, non_blocking=True)), LOGITS, CLASSES
    ),
    "regression": (lambda x, y: regression(x, y, kind="huber"), LOGITS[:, :, 0, 0], YES),
    "gaussian": (lambda x, y: regression(x, y, variance=x.exp()), LOGITS[:, :, 0, 0], YES),
}  # fmt: skip
FAULTS: dict[str, tuple[Task, torch.Tensor, torch.Tensor]] = {
    "binary": (binary, LOGITS[:, 0, 0, 0], torch.tensor([0.0, 1, 0, 2, 1, 1])),
    "multilabel": (multilabel, LOGITS[:, :2, 0, 0], torch.tensor([[0.0, 1]] * 3 + [[1, -1]] + [[0, 0]] * 2)),
    "dense": (dense, LOGITS, torch.where(torch.arange(6)[:, None, None] == 3, 5, CLASSES.clamp_max(4))),
    "regression": (regression, LOGITS[:, 0, 0, 0], torch.tensor([0.0, 1, 0, torch.nan, 1, 1])),
    "gaussian": (
        lambda x, y: regression(x, y, variance=y), LOGITS[:, 0, 0, 0], torch.tensor([1.0, 1, 2, -1, 1, 1])
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
def test_values_and_gradient_are_those_of_the_cpu(device: torch.device, name: str) -> None:
    task, given, targets = TASKS[name]
    found, slopes = [], []
    for where in (device, torch.device("cpu")):
        leaf = given.to(where, copy=True).requires_grad_()
        scores = task(leaf, targets.to(where))
        (scores.loss * torch.arange(1.0, 7).to(where)).sum().backward()
        found.append([None if values is None else values.detach().cpu() for values in scores])
        slopes.append(leaf.grad.cpu())
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(*slopes)


@pytest.mark.parametrize("targets_on", ["device", "host"])
@pytest.mark.parametrize("name", TASKS)
def test_the_host_does_not_wait(
    accelerator: torch.device, no_waiting: Callable[[], AbstractContextManager[None]], name: str, targets_on: str
) -> None:
    task, given, targets = TASKS[name]
    leaf = given.to(accelerator, copy=True).requires_grad_()
    here = targets.to(accelerator) if targets_on == "device" or name == "gaussian" else targets
    with no_waiting():
        task(leaf, here).loss.sum().backward()
    assert leaf.grad.isfinite().all().item()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_nobody_looked_at_is_named_when_the_epoch_ends(accelerator: torch.device, name: str) -> None:
    task, given, targets = FAULTS[name]
    leaf = given.to(accelerator, copy=True).requires_grad_()
    scores = task(leaf, targets.to(accelerator))
    assert torch.nonzero(~scores.loss.detach().cpu().isfinite()).flatten().tolist() == [3]
    pruner = Pruner(6, "random", prune_rate=0.0, num_epochs=1)
    (ids,) = IdBatches(pruner, 6)
    pruner.loss(torch.sort(ids).values, *scores).backward()
    with pytest.raises(NonFiniteError, match=r"1 sample\(s\), ids 3;"):
        pruner.end_epoch()


def test_a_run_without_a_memory_term(accelerator: torch.device, no_waiting: Callable[[], Any]) -> None:
    pruner = Pruner(24, "emp", prune_rate=0.5, num_epochs=3)
    targets = torch.arange(24.0).to(accelerator)

    def train() -> None:
        for _ in pruner.epochs():
            batches = list(IdBatches(pruner, 6))
            with no_waiting():
                for ids in batches:
                    here = ids.to(accelerator, non_blocking=True)
                    leaf = torch.zeros(6, device=accelerator).requires_grad_()
                    pruner.loss(here, *regression(leaf, targets[here])).backward()

    with pytest.warns(UserWarning, match="EMP ranks by the loss alone"):
        train()
    assert pruner.report().samples_backward == 36
