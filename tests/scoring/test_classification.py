"""Cross-entropy and entropy against naive loops in float64, and against torch for value and gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from emprune import ArgumentError
from emprune.scoring import classification


def naive(logits: list[float], target: list[float], smoothing: float = 0.0) -> tuple[float, float]:
    """Loss and entropy of one sample, in nats, straight from the definition."""
    most = max(logits)
    log_sum = most + math.log(sum(math.exp(value - most) for value in logits))
    log_q = [value - log_sum for value in logits]
    target = [(1 - smoothing) * t + smoothing / len(target) for t in target]
    loss = -sum(t * lq for t, lq in zip(target, log_q, strict=True) if t > 0)
    entropy = -sum(math.exp(lq) * lq for lq in log_q if lq > -math.inf)
    return loss, entropy


def batch(seed: int, size: int, classes: int, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits [B, C], class indices [B] and soft targets [B, C]."""
    rng = np.random.default_rng(seed)
    logits = torch.tensor(rng.normal(0, scale, (size, classes)), dtype=torch.float32)
    labels = torch.tensor(rng.integers(0, classes, size))
    soft = torch.tensor(rng.dirichlet(np.full(classes, 0.3), size), dtype=torch.float32)
    return logits, labels, soft


CASES = given(
    seed=st.integers(0, 2**32), size=st.integers(1, 6), classes=st.integers(2, 7),
    scale=st.sampled_from([0.0, 1.0, 30.0, 1e4]), smoothing=st.sampled_from([0.0, 0.1, 1.0]), soft=st.booleans(),
)  # fmt: skip


@settings(max_examples=200)
@CASES
def test_both_terms_are_what_a_naive_loop_computes(
    seed: int, size: int, classes: int, scale: float, smoothing: float, soft: bool
) -> None:
    logits, labels, mixed = batch(seed, size, classes, scale)
    target = mixed if soft else F.one_hot(labels, classes).float()
    loss, memory = classification(logits, mixed if soft else labels, label_smoothing=smoothing)
    rows = zip(logits.double().tolist(), target.double().tolist(), strict=True)
    expected = [naive(row, wanted, smoothing) for row, wanted in rows]
    assert loss.dtype == memory.dtype == torch.float32
    assert loss.shape == memory.shape == (size,)
    assert loss.tolist() == pytest.approx([pair[0] for pair in expected], rel=1e-5, abs=1e-5)
    assert memory.tolist() == pytest.approx([pair[1] for pair in expected], rel=1e-4, abs=1e-5)


@settings(max_examples=200)
@given(
    seed=st.integers(0, 2**32), size=st.integers(1, 6), classes=st.integers(2, 7),
    scale=st.sampled_from([0.0, 1.0, 1e4]), smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    soft=st.booleans(), weighted=st.booleans(),
)  # fmt: skip
def test_value_and_gradient_are_those_of_torch(
    seed: int, size: int, classes: int, scale: float, smoothing: float, soft: bool, weighted: bool
) -> None:
    logits, labels, mixed = batch(seed, size, classes, scale)
    labels = mixed if soft else labels
    weight = torch.linspace(0.0, 2.5, classes) if weighted else None
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = classification(ours, labels, weight=weight, label_smoothing=smoothing).loss
    expected = F.cross_entropy(theirs, labels, weight, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    slopes = torch.arange(1.0, size + 1)
    (loss * slopes).sum().backward()
    (expected * slopes).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixup_is_a_soft_target_of_both_labels(smoothing: float) -> None:
    logits, first, _ = batch(3, 8, 5)
    second, share, weight = first.roll(1), 0.3, torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0])
    both = share * F.one_hot(first, 5) + (1 - share) * F.one_hot(second, 5)
    mixed = classification(logits, both, weight=weight, label_smoothing=smoothing)
    one, other = (
        classification(logits, labels, weight=weight, label_smoothing=smoothing) for labels in (first, second)
    )
    torch.testing.assert_close(mixed.loss, share * one.loss + (1 - share) * other.loss)
    assert torch.equal(mixed.memory, one.memory)


def test_the_memory_term_carries_no_gradient_and_ignores_the_target() -> None:
    logits, labels, soft = batch(0, 4, 5)
    logits.requires_grad_()
    hard, mixed = classification(logits, labels), classification(logits, soft)
    smooth = classification(logits, labels, label_smoothing=0.3)
    assert hard.loss.requires_grad
    assert not hard.memory.requires_grad
    assert torch.equal(hard.memory, smooth.memory)
    assert torch.equal(hard.memory, mixed.memory)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    logits, labels, soft = batch(1, 8, 10, scale=5.0)
    half = logits.to(dtype)
    for target in (labels, soft, soft.to(dtype)):
        result = classification(half, target)
        expected = classification(half.float(), target)
        assert result.loss.dtype == torch.float32
        assert torch.equal(result.loss, expected.loss)
        assert torch.equal(result.memory, expected.memory)


def test_autocast_logits() -> None:
    model = torch.nn.Linear(6, 4)
    inputs, labels = torch.randn(5, 6, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(inputs)
        assert logits.dtype == torch.bfloat16
        loss, memory = classification(logits, labels)
    expected = F.cross_entropy(logits.float(), labels, reduction="none")
    torch.testing.assert_close(loss, expected)
    assert loss.dtype == memory.dtype == torch.float32
    loss.sum().backward()
    assert torch.isfinite(model.weight.grad).all()


def test_a_class_that_is_ruled_out() -> None:
    logits = torch.tensor([[0.0, 0.0, -torch.inf], [1.0, -torch.inf, -torch.inf]], requires_grad=True)
    loss, memory = classification(logits, torch.tensor([0, 0]))
    assert loss.tolist() == pytest.approx([math.log(2), 0.0])
    assert memory.tolist() == pytest.approx([math.log(2), 0.0])
    loss.sum().backward()
    assert torch.isfinite(logits.grad).all()
    soft = classification(logits, torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])).loss
    assert soft.tolist() == pytest.approx([math.log(2), 0.0])


def test_entropy_lies_between_zero_and_log_c() -> None:
    logits = torch.tensor([[0.0] * 10, [1e4] + [0.0] * 9, [3e38] + [-3e38] * 9])
    memory = classification(logits, torch.zeros(3, dtype=torch.int64)).memory
    assert memory.tolist() == pytest.approx([math.log(10), 0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize(
    ("logits", "labels", "options", "message"),
    [
        (torch.zeros(4), torch.zeros(4).long(), {}, r"logits is 'torch.float32 of shape \(4,\)'; allowed: .*classes"),
        (torch.zeros(4, 2).long(), torch.zeros(4).long(), {}, "logits is 'torch.int64 of shape .*; allowed: floating"),
        (torch.zeros(4, 2), torch.zeros(3).long(), {}, r"labels is 'torch.int64 of shape \(3,\)'; .*shape \(4,\)"),
        (torch.zeros(4, 2), torch.zeros(4).int(), {}, "labels is 'torch.int32 of shape .*; allowed: class indices"),
        (torch.zeros(4, 2), torch.zeros(4, 3), {}, r"labels is 'torch.float32 .* soft targets, .*of shape \(4, 2\)"),
        (
            torch.zeros(4, 2),
            torch.zeros(4).long(),
            {"label_smoothing": 1.5},
            "label_smoothing is 1.5; allowed: a number",
        ),
        (
            torch.zeros(4, 2),
            torch.zeros(4).long(),
            {"weight": torch.ones(3)},
            r"weight is 'torch.float32 of shape \(3,\)'; allowed: one weight a class, .*\[2\]",
        ),
        (torch.zeros(4, 2), torch.zeros(4).long(), {"weight": [1.0, 2.0]}, "weight is 'list'"),
        (
            torch.zeros(4, 2),
            torch.zeros(4).long(),
            {"weight": torch.tensor([-1.0, 1.0])},
            r"weight is '-1 of class 0'; allowed: finite",
        ),
    ],
)
def test_bad_arguments_are_named(logits: torch.Tensor, labels: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        classification(logits, labels, **options)
