"""Static scores against naive loops in float64, GraNd against autograd one sample at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from emprune import ArgumentError
from emprune.scoring.static import el2n, grand, grand_last_layer, least_confidence, margin, wrong_margin


def softmax(logits: list[float]) -> list[float]:
    most = max(logits)
    powers = [math.exp(value - most) for value in logits]
    return [power / sum(powers) for power in powers]


def naive_el2n(logits: list[float], label: int) -> float:
    return math.sqrt(sum((p - (c == label)) ** 2 for c, p in enumerate(softmax(logits))))


def naive_margin(logits: list[float]) -> float:
    ordered = sorted(softmax(logits))
    return 1 - (ordered[-1] - ordered[-2])


def naive_wrong_margin(logits: list[float], label: int) -> float:
    p = softmax(logits)
    return max(value for c, value in enumerate(p) if c != label) - p[label]


def batch(seed: int, size: int, classes: int, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    logits = torch.tensor(rng.normal(0, scale, (size, classes)), dtype=torch.float32)
    return logits, torch.tensor(rng.integers(0, classes, size))


@given(
    seed=st.integers(0, 2**32), size=st.integers(1, 6), classes=st.integers(2, 7),
    scale=st.sampled_from([0.0, 1.0, 30.0, 1e4]),
)  # fmt: skip
def test_scores_of_outputs_are_what_a_naive_loop_computes(seed: int, size: int, classes: int, scale: float) -> None:
    logits, labels = batch(seed, size, classes, scale)
    rows = list(zip(logits.double().tolist(), labels.tolist(), strict=True))
    found = {
        "el2n": el2n(logits, labels), "margin": margin(logits),
        "least": least_confidence(logits), "wrong": wrong_margin(logits, labels),
    }  # fmt: skip
    expected = {
        "el2n": [naive_el2n(row, label) for row, label in rows],
        "margin": [naive_margin(row) for row, _ in rows],
        "least": [1 - max(softmax(row)) for row, _ in rows],
        "wrong": [naive_wrong_margin(row, label) for row, label in rows],
    }
    for name, values in found.items():
        assert values.dtype == torch.float32
        assert values.tolist() == pytest.approx(expected[name], abs=1e-5), name


def test_higher_means_harder() -> None:
    logits = torch.tensor([[9.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 9.0, 0.0]])  # mastered, unsure, surely wrong
    labels = torch.zeros(3, dtype=torch.int64)
    for score in (el2n(logits, labels), wrong_margin(logits, labels)):
        assert score.argsort().tolist() == [0, 1, 2]
    assert el2n(logits, labels)[2].item() == pytest.approx(math.sqrt(2), abs=1e-3)
    for score in (margin(logits), least_confidence(logits)):
        assert score[1] > score[0] == pytest.approx(score[2])


def test_scores_carry_no_gradient_and_half_precision_is_computed_in_float32() -> None:
    logits, labels = batch(0, 5, 4)
    half = logits.bfloat16().requires_grad_()
    hidden = torch.ones(5, 3, requires_grad=True)
    for score in (
        lambda z: el2n(z, labels), margin, least_confidence, lambda z: wrong_margin(z, labels),
        lambda z: grand_last_layer(z, labels, hidden),
    ):  # fmt: skip
        assert torch.equal(score(half), score(half.detach().float()))
        assert not score(half).requires_grad


class Noisy(nn.Module):
    """Convolution, batch norm, dropout, a shared frozen layer and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5))
        self.frozen = nn.Linear(12, 6)
        self.head = nn.Linear(6, 4)
        self.frozen.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.frozen(self.body(images)))


def model_and_data(size: int = 7) -> tuple[Noisy, torch.Tensor, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, images = Noisy(), torch.randn(size, 1, 4, 4)
        model(images)  # moves the running statistics away from where they began
    return model, images, torch.arange(size) % 4


def naive_grand(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, parameters: list) -> list[float]:
    """One backward pass a sample."""
    norms = []
    model.eval()
    for image, label in zip(images, labels, strict=True):
        loss = F.cross_entropy(model(image[None]), label[None])
        gradients = torch.autograd.grad(loss, parameters)
        norms.append(math.sqrt(sum(float(g.double().square().sum()) for g in gradients)))
    return norms


@pytest.mark.parametrize("chunk_size", [1, 3, 100])
def test_grand_is_the_norm_of_each_samples_gradient(chunk_size: int) -> None:
    model, images, labels = model_and_data()
    model.train()
    model.body[1].eval()
    modes = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    found = grand(model, images, labels, chunk_size=chunk_size)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    trained = [p for p in model.parameters() if p.requires_grad]
    assert found.tolist() == pytest.approx(naive_grand(model, images, labels, trained), rel=1e-4)
    assert not found.requires_grad
    assert found.dtype == torch.float32


def test_grand_puts_the_modes_back_after_an_error() -> None:
    model, images, labels = model_and_data()
    model.train()
    with pytest.raises(RuntimeError):
        grand(model, images[:, :, :3], labels)
    assert model.training


def test_grand_of_the_last_layer_is_its_closed_form() -> None:
    model, images, labels = model_and_data()
    model.eval()
    hidden = model.frozen(model.body(images))
    expected = naive_grand(model, images, labels, [model.head.weight, model.head.bias])
    assert grand_last_layer(model(images), labels, hidden).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z, y: el2n(z[0], y), r"logits is 'torch.float32 of shape \(3,\)'; allowed: floating point"),
        (lambda z, y: margin(z[:, :1]), "logits is .*two classes or more"),
        (lambda z, y: least_confidence(z.long()), "logits is 'torch.int64"),
        (lambda z, y: el2n(z, y[:2]), r"labels is 'torch.int64 of shape \(2,\)'; allowed: .*shape \[4\]"),
        (lambda z, y: wrong_margin(z, y.int()), "labels is 'torch.int32"),
        (lambda z, y: grand_last_layer(z, y, z[0]), r"hidden is .*allowed: the layer's input.*\[4, D\]"),
        (lambda z, y: grand_last_layer(z, y, z[:2]), r"hidden is 'torch.float32 of shape \(2, 3\)'"),
        (lambda z, y: grand(nn.Linear(3, 3), z, y[:1]), r"labels is .*int64, shape \[4\]"),
        (lambda z, y: grand(nn.Linear(3, 3), z, y, chunk_size=0), "chunk_size is 0; allowed: an integer of at least 1"),
    ],
)
def test_bad_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call(torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64))
