"""Yes-or-no labels against naive loops in float64, and against torch for value and gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from emprune import ArgumentError
from emprune.scoring import binary, classification, multilabel


def naive(logit: float, target: float, pos_weight: float = 1.0) -> tuple[float, float]:
    """Loss and entropy of one logit, in nats, straight from the definition."""
    log_yes = -math.log1p(math.exp(-logit)) if logit > -30 else logit
    log_no = -math.log1p(math.exp(logit)) if logit < 30 else -logit
    loss = -pos_weight * target * log_yes - (1 - target) * log_no
    return loss, -math.exp(log_yes) * log_yes - math.exp(log_no) * log_no


def naive_row(
    logits: list[float], targets: list[float], unknown: list[bool], weight: list[float], pos: list[float], how: str
) -> tuple[float, float]:
    loss = entropy = 0.0
    number = 0
    for logit, target, missing, factor, positive in zip(logits, targets, unknown, weight, pos, strict=True):
        if not missing:
            one, spread = naive(logit, target, positive)
            loss, entropy, number = loss + factor * one, entropy + factor * spread, number + 1
    over = max(1, number) if how == "mean" else 1
    return loss / over, entropy / over


def batch(seed: int, size: int, labels: int, scale: float = 1.0, soft: bool = False) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    targets = rng.random((size, labels)) if soft else rng.integers(0, 2, (size, labels)).astype(float)
    return {
        "logits": torch.tensor(rng.normal(0, scale, (size, labels)), dtype=torch.float32),
        "targets": torch.tensor(targets, dtype=torch.float32),
        "unknown": torch.tensor(rng.random((size, labels)) < 0.4),
        "weight": torch.tensor(rng.random(labels), dtype=torch.float32),
        "pos_weight": torch.tensor(rng.random(labels) + 0.5, dtype=torch.float32),
    }


CASES = given(
    seed=st.integers(0, 2**32), size=st.integers(1, 5), labels=st.integers(1, 6),
    scale=st.sampled_from([0.0, 1.0, 30.0, 1e3]), soft=st.booleans(),
)  # fmt: skip


@settings(max_examples=100)
@CASES
def test_several_labels_are_what_a_naive_loop_computes(
    seed: int, size: int, labels: int, scale: float, soft: bool
) -> None:
    given = batch(seed, size, labels, scale, soft)
    for how in ("mean", "sum"):
        loss, memory = multilabel(**given, reduction=how)
        rows = [given[name].double().tolist() for name in ("logits", "targets")] + [given["unknown"].tolist()]
        shared = given["weight"].tolist(), given["pos_weight"].tolist(), how
        expected = [naive_row(*row, *shared) for row in zip(*rows, strict=True)]
        assert loss.dtype == memory.dtype == torch.float32
        assert loss.tolist() == pytest.approx([pair[0] for pair in expected], rel=1e-5, abs=1e-6)
        assert memory.tolist() == pytest.approx([pair[1] for pair in expected], rel=1e-4, abs=1e-6)


@settings(max_examples=100)
@CASES
def test_value_and_gradient_are_those_of_torch(seed: int, size: int, labels: int, scale: float, soft: bool) -> None:
    given = batch(seed, size, labels, scale, soft)
    ours, theirs = (given["logits"].clone().requires_grad_() for _ in range(2))
    options = {name: given[name] for name in ("weight", "pos_weight")}
    loss = multilabel(ours, given["targets"], **options).loss
    expected = F.binary_cross_entropy_with_logits(theirs, given["targets"], **options)
    torch.testing.assert_close(loss.mean(), expected, rtol=1e-5, atol=1e-6)
    loss.mean().backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-7)


@settings(max_examples=50)
@CASES
def test_one_label_is_classification_of_two_logits(seed: int, size: int, labels: int, scale: float, soft: bool) -> None:
    given = batch(seed, size, 1, scale, soft)
    logits, targets = given["logits"], given["targets"]
    both = torch.cat([torch.zeros_like(logits), logits], dim=1)
    expected = classification(both, torch.cat([1 - targets, targets], dim=1))
    for ours, wanted in ((logits, targets), (logits[:, 0], targets[:, 0]), (logits, targets[:, 0])):
        found = binary(ours, wanted)
        assert found.loss.shape == found.memory.shape == (size,)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.uint8, torch.float64, torch.bfloat16])
def test_targets_of_any_dtype_are_zeros_and_ones(dtype: torch.dtype) -> None:
    logits, targets = torch.tensor([[0.3], [-2.0]]), torch.tensor([[1], [0]])
    assert torch.equal(binary(logits, targets.to(dtype)).loss, binary(logits, targets.float()).loss)
    assert torch.equal(multilabel(logits, targets.to(dtype)).loss, binary(logits, targets.float()).loss)


def test_positives_weigh_more_in_the_loss_alone() -> None:
    logits, targets = torch.tensor([0.5, 0.5]), torch.tensor([1, 0])
    plain, heavy = binary(logits, targets), binary(logits, targets, pos_weight=3)
    assert (heavy.loss / plain.loss).tolist() == pytest.approx([3, 1])
    assert torch.equal(heavy.memory, plain.memory)
    for weight in (torch.tensor(3.0), torch.tensor([3.0])):
        assert torch.equal(binary(logits, targets, pos_weight=weight).loss, heavy.loss)


def test_the_memory_term_carries_no_gradient_and_lies_between_0_and_log_2() -> None:
    logits = torch.tensor([[0.0, 1e4, -1e4, 40.0]], requires_grad=True)
    loss, memory = multilabel(logits, torch.ones(1, 4), reduction="sum")
    assert loss.requires_grad
    assert not memory.requires_grad
    assert memory.item() == pytest.approx(math.log(2), abs=1e-6)


def test_unknown_labels_are_not_looked_at_and_a_sample_without_any_known_one_has_nothing_to_learn() -> None:
    logits = torch.tensor([[1.0, torch.nan, 2.0], [torch.inf, 0.0, 0.0]], requires_grad=True)
    targets = torch.tensor([[1.0, -1.0, 0.0], [-1.0, -1.0, -1.0]])
    loss, memory = multilabel(logits, targets, unknown=targets < 0)
    known = multilabel(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0]]))
    assert loss.tolist() == pytest.approx([known.loss.item(), 0])
    assert memory.tolist() == pytest.approx([known.memory.item(), 0])
    loss.sum().backward()
    assert logits.grad[0, 1] == 0
    assert not logits.grad[1].any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32_and_double_in_double(dtype: torch.dtype) -> None:
    given = batch(1, 8, 10, scale=5.0)
    half, targets = given["logits"].to(dtype), given["targets"]
    assert torch.equal(multilabel(half, targets).loss, multilabel(half.float(), targets).loss)
    assert multilabel(half.double(), targets).memory.dtype == torch.float64


X = torch.zeros(4, 3)
Y = torch.zeros(4, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: binary(X, Y), r"logits is .*\(4, 3\)'; allowed: one logit.*scoring\.classification.*scoring\.multil"),
        (lambda: binary(X[:, 0].long(), Y[:, 0]), "logits is 'torch.int64 .*; allowed: one logit"),
        (lambda: binary(X[:, 0], Y), r"targets is .*\(4, 3\)'; allowed: one target .*scoring\.classification"),
        (lambda: binary(X[:, 0], Y[:, :1]), r"targets is .*\(4, 1\)'; .*Pass targets\.squeeze\(1\)"),
        (lambda: binary(X[:, 0], torch.tensor([0, 1, 2, 1])), r"targets\[2\] is 2; allowed: 0 to 1\. .*classification"),
        (lambda: binary(X[:, 0], torch.tensor([0, -1, 1, -1])), r"targets\[1\] is -1; .*1 more of 4 rows.*\+ 1\) / 2"),
        (lambda: binary(X[:, 0], torch.tensor([0, 1, torch.nan, 1])), r"targets\[2\] is nan; allowed: 0 to 1"),
        (lambda: binary(X[:, 0], Y[:, 0], pos_weight=0.0), r"pos_weight is 0\.0; allowed: a finite number above 0"),
        (lambda: binary(X[:, 0], Y[:, 0], pos_weight=X[:, 0]), "pos_weight is .*; allowed: one factor"),
        (lambda: multilabel(X[:, 0], Y[:, 0]), r"logits is .*allowed: .*labels\]\. .*scoring\.binary"),
        (lambda: multilabel(torch.zeros(2, 3, 4, 4), Y), r"logits is .* logits\.flatten\(1\)"),
        (lambda: multilabel(X, torch.zeros(4).long()), r"targets is .* shape \(4, 3\)\. .*scoring\.classification"),
        (lambda: multilabel(X[:, :1], Y[:, 0]), r"targets is .* shape \(4, 1\)\. .*scoring\.binary"),
        (lambda: multilabel(X, Y + 2), r"targets\[0, 0\] is 2\.0; allowed: 0 to 1 \(and in 3 more of 4 rows\)"),
        (lambda: multilabel(X, Y, reduction="none"), "reduction is 'none'; allowed: 'mean' or 'sum'"),
        (lambda: multilabel(X, Y, unknown=Y), r"unknown is 'torch.float32 .*; allowed: bool, .* of shape \[4, 3\]"),
        (lambda: multilabel(X, Y, weight=torch.ones(4)), r"weight is .*; allowed: floating point, .* of shape \[3\]"),
        (lambda: multilabel(X, Y, pos_weight=torch.ones(4)), r"pos_weight is .*; allowed: one factor a label"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named_with_the_function_for_the_task(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
