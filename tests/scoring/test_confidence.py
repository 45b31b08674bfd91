"""Confidence against a naive loop in float64; its loss is the classification's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emprune import ArgumentError
from emprune.scoring import classification
from emprune.scoring.confidence import confidence


def naive(logits: list[float], label: int) -> float:
    most = max(logits)
    if logits.index(most) != label:
        return 0.0
    return 1 / sum(math.exp(value - most) for value in logits)


@given(
    seed=st.integers(0, 2**32), size=st.integers(1, 6), classes=st.integers(1, 7),
    scale=st.sampled_from([1.0, 30.0, 1e4]), smoothing=st.sampled_from([0.0, 0.1, 1.0]), soft=st.booleans(),
)  # fmt: skip
def test_it_is_what_a_naive_loop_computes(
    seed: int, size: int, classes: int, scale: float, smoothing: float, soft: bool
) -> None:
    rng = np.random.default_rng(seed)
    logits = torch.tensor(rng.normal(0, scale, (size, classes)), dtype=torch.float32)
    labels = torch.tensor(rng.integers(0, classes, size))
    targets = torch.tensor(rng.dirichlet(np.full(classes, 0.3), size), dtype=torch.float32)
    given_labels = targets if soft else labels
    loss, memory = confidence(logits, given_labels, label_smoothing=smoothing)
    labels = targets.argmax(dim=1) if soft else labels
    expected = [naive(row, label) for row, label in zip(logits.double().tolist(), labels.tolist(), strict=True)]
    assert memory.dtype == torch.float32
    assert memory.tolist() == pytest.approx(expected, rel=1e-5)
    assert torch.equal(loss, classification(logits, given_labels, label_smoothing=smoothing).loss)


def test_with_plain_cross_entropy_confidence_is_the_loss_read_backwards() -> None:
    logits = torch.tensor(np.random.default_rng(0).normal(0, 3, (500, 4)), dtype=torch.float32)
    labels = torch.tensor(np.random.default_rng(1).integers(0, 4, 500))
    loss, memory = confidence(logits, labels)
    assert 50 < int((memory >= 0.7).sum()) < 450
    assert torch.equal(memory >= 0.7, loss <= -math.log(0.7))


def test_the_gradient_goes_through_the_loss_alone() -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    loss, memory = confidence(logits, torch.tensor([0, 1, 2]))
    assert loss.requires_grad
    assert not memory.requires_grad


def test_half_precision_is_computed_in_float32() -> None:
    logits = torch.tensor([[8.0, 1.0, 0.5]], dtype=torch.bfloat16)
    assert confidence(logits, torch.tensor([0])).memory.item() == pytest.approx(naive([8.0, 1.0, 0.5], 0), rel=1e-6)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"labels is .torch\.int64 of shape \(1,\)"):
        confidence(torch.zeros(2, 3), torch.tensor([0]))
    with pytest.raises(ArgumentError, match="label_smoothing is 2"):
        confidence(torch.zeros(1, 3), torch.tensor([0]), label_smoothing=2)
