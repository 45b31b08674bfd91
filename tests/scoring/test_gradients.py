"""Inner products of last-layer gradients against autograd, one sample at a time."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from emprune import ArgumentError
from emprune.scoring.gradients import gradient_products


def _one_by_one(layer: torch.nn.Linear, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    gradients = []
    for i in range(len(hidden)):
        loss = F.cross_entropy(layer(hidden[i : i + 1]), labels[i : i + 1])
        gradients.append(torch.autograd.grad(loss, layer.weight)[0].flatten())
    return torch.stack([torch.stack([a @ b for b in gradients]) for a in gradients])


def _case(seed: int = 0) -> tuple[torch.nn.Linear, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    layer = torch.nn.Linear(5, 4)
    with torch.no_grad():
        layer.weight.normal_(generator=generator)
        layer.bias.normal_(generator=generator)
    hidden = torch.randn(7, 5, generator=generator)
    return layer, hidden, torch.randint(0, 4, (7,), generator=generator)


def test_products_are_those_of_the_gradients() -> None:
    layer, hidden, labels = _case()
    found = gradient_products(layer(hidden), labels, hidden)
    assert torch.allclose(found, _one_by_one(layer, hidden, labels), atol=1e-5)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    soft = 0.7 * F.one_hot(labels, 4) + 0.3 / 4
    found = gradient_products(layer(hidden), soft, hidden)
    assert torch.allclose(found, _one_by_one(layer, hidden, soft), atol=1e-5)


def test_computed_in_float32_whatever_comes_and_under_autocast() -> None:
    layer, hidden, labels = _case(1)
    logits = layer(hidden).detach()
    expected = gradient_products(logits, labels, hidden)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(gradient_products(logits, labels, hidden), expected)
    half = gradient_products(logits.bfloat16(), labels, hidden.bfloat16())
    assert half.dtype == torch.float32
    assert torch.allclose(half, gradient_products(logits.bfloat16().float(), labels, hidden.bfloat16().float()))


@pytest.mark.parametrize("hidden", [torch.ones(6, 5), torch.ones(7), torch.ones(7, 5, dtype=torch.int64)])
def test_a_hidden_layer_that_does_not_fit(hidden: torch.Tensor) -> None:
    with pytest.raises(ArgumentError, match=r"hidden is .*allowed: the last layer's input.*\[7, H\]"):
        gradient_products(torch.zeros(7, 4), torch.zeros(7, dtype=torch.int64), hidden)


def test_labels_that_do_not_fit() -> None:
    with pytest.raises(ArgumentError, match="labels"):
        gradient_products(torch.zeros(7, 4), torch.zeros(6, dtype=torch.int64), torch.ones(7, 5))
