"""Confidence against a naive loop in float64."""

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
    seed=st.integers(0, 2**32), size=st.integers(1, 6), classes=st.integers(2, 7),
    scale=st.sampled_from([1.0, 30.0, 1e4]), soft=st.booleans(),
)  # fmt: skip
def test_it_is_what_a_naive_loop_computes(seed: int, size: int, classes: int, scale: float, soft: bool) -> None:
    rng = np.random.default_rng(seed)
    logits = torch.tensor(rng.normal(0, scale, (size, classes)), dtype=torch.float32)
    labels = torch.tensor(rng.integers(0, classes, size))
    targets = torch.tensor(rng.dirichlet(np.full(classes, 0.3), size), dtype=torch.float32)
    found = confidence(logits, targets if soft else labels)
    labels = targets.argmax(dim=1) if soft else labels
    expected = [naive(row, label) for row, label in zip(logits.double().tolist(), labels.tolist(), strict=True)]
    assert found.dtype == torch.float32
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_with_plain_cross_entropy_confidence_is_the_loss_read_backwards() -> None:
    logits = torch.tensor(np.random.default_rng(0).normal(0, 3, (500, 4)), dtype=torch.float32)
    labels = torch.tensor(np.random.default_rng(1).integers(0, 4, 500))
    sure, loss = confidence(logits, labels) >= 0.7, classification(logits, labels).loss
    assert 50 < int(sure.sum()) < 450
    assert torch.equal(sure, loss <= -math.log(0.7))


def test_it_has_no_gradient() -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    assert not confidence(logits, torch.tensor([0, 1, 2])).requires_grad


def test_half_precision_is_computed_in_float32() -> None:
    logits = torch.tensor([[8.0, 1.0, 0.5]], dtype=torch.bfloat16)
    assert confidence(logits, torch.tensor([0])).item() == pytest.approx(naive([8.0, 1.0, 0.5], 0), rel=1e-6)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"labels is .torch\.int64 of shape \(1,\)"):
        confidence(torch.zeros(2, 3), torch.tensor([0]))
