"""Loss, entropy and gradient of classification on a device against their definitions in float64 on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch

from emprune import NonFiniteError, Pruner
from emprune.scoring import classification, gradient_products

B, C = 40, 300
ROUNDING = {torch.float32: 1e-5, torch.bfloat16: 2**-8, torch.float16: 2**-10}


def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [B, C], some rows all but decided; labels [B]."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(B, C, generator=generator) * torch.logspace(-1, 1.5, B)[:, None]
    return logits, torch.randint(0, C, (B,), generator=generator)


def right(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """float64, shape [B] each, of soft targets [B, C]."""
    log_q = torch.log_softmax(logits.double(), dim=1)
    return -(target * log_q).sum(dim=1), -(log_q.exp() * log_q).sum(dim=1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("dtype", ROUNDING)
def test_values_and_gradient(device: torch.device, dtype: torch.dtype, soft: bool, smoothing: float) -> None:
    logits, labels = drawn()
    leaf = logits.to(device, dtype).requires_grad_()
    onehot = torch.nn.functional.one_hot(labels, C).double()
    target = 0.3 * onehot + 0.7 * onehot.roll(1, dims=0) if soft else onehot
    loss, memory = classification(
        leaf, target.float().to(device) if soft else labels.to(device), label_smoothing=smoothing
    )
    slopes = torch.linspace(-1, 2, B)
    (loss * slopes.to(device)).sum().backward()

    reference = leaf.detach().cpu().double().requires_grad_()
    right_loss, right_memory = right(reference, (1 - smoothing) * target + smoothing / C)
    (right_loss * slopes.double()).sum().backward()
    assert loss.dtype == memory.dtype == torch.float32
    torch.testing.assert_close(loss.detach().cpu().double(), right_loss.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(memory.cpu().double(), right_memory.detach(), rtol=1e-5, atol=1e-5)
    rounding = ROUNDING[dtype]
    torch.testing.assert_close(leaf.grad.cpu().double(), reference.grad, rtol=rounding, atol=max(rounding / 100, 2e-6))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast(processor: torch.device, dtype: torch.dtype) -> None:
    """Logits come out of a layer in half precision; scores are computed in float32 all the same."""
    generator = torch.Generator().manual_seed(1)
    inputs, weight = torch.randn(B, 64, generator=generator), torch.randn(64, C, generator=generator) / 4
    labels = drawn()[1]
    with torch.autocast(processor.type, dtype):
        logits = inputs.to(processor) @ weight.to(processor)
        loss, memory = classification(logits, labels.to(processor))
        products = gradient_products(logits, labels.to(processor), inputs.to(processor))
    assert logits.dtype == dtype
    on_host = logits.cpu().double()
    right_loss, right_memory = right(on_host, torch.nn.functional.one_hot(labels, C).double())
    torch.testing.assert_close(loss.cpu().double(), right_loss, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(memory.cpu().double(), right_memory, rtol=1e-5, atol=1e-5)
    error = torch.softmax(on_host, dim=1) - torch.nn.functional.one_hot(labels, C)
    right_products = (error @ error.T) * (inputs.double() @ inputs.double().T)
    torch.testing.assert_close(products.cpu().double(), right_products, rtol=1e-4, atol=1e-4)


def test_masked_classes_and_certain_predictions(device: torch.device) -> None:
    """0·log 0 is 0, and a loss of infinity stays one: the pruner is to see it."""
    logits = torch.tensor([[0.0, -torch.inf, 0.0], [200.0, 0.0, -200.0], [0.0, -torch.inf, 0.0]])
    loss, memory = classification(logits.to(device), torch.tensor([0, 0, 1]).to(device))
    torch.testing.assert_close(loss.cpu(), torch.tensor([math.log(2), 0.0, torch.inf]))
    torch.testing.assert_close(memory.cpu(), torch.tensor([math.log(2), 0.0, math.log(2)]))


def test_targets_that_are_no_distribution_are_named_when_the_epoch_ends(
    accelerator: torch.device, no_waiting: Callable[[], AbstractContextManager[None]]
) -> None:
    targets = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.5, 0.5], [1.5, -0.5], [torch.nan, 1.0], [0.0, 0.0]])
    logits, ids = torch.zeros(6, 2).to(accelerator).requires_grad_(), torch.arange(6)
    on_device = targets.to(accelerator)
    pruner = Pruner(6, "emp", prune_rate=0.5, num_epochs=2, warmup_epochs=1)
    with no_waiting():
        loss, memory = classification(logits, on_device)
        pruner.loss(ids, loss, memory)
    assert loss.isnan().cpu().tolist() == [False, True, False, True, True, True]
    with pytest.raises(NonFiniteError, match=r"4 sample\(s\), ids 1, 3, 4, 5"):
        pruner.end_epoch()
