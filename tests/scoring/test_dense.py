"""Maps of classes against a naive loop over pixels in float64, and against torch for value and gradient."""

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
from emprune.scoring import classification, dense

IGNORED = 255


def naive(logits: np.ndarray, labels: np.ndarray, weight: np.ndarray, smoothing: float) -> tuple[float, float]:
    """Loss and entropy of one sample, logits [C, P] and labels [P]."""
    loss = entropy = 0.0
    count = 0
    for place, label in enumerate(labels):
        if label == IGNORED:
            continue
        most = logits[:, place].max()
        log_q = logits[:, place] - most - math.log(np.exp(logits[:, place] - most).sum())
        target = np.full(len(log_q), smoothing / len(log_q))
        target[label] += 1 - smoothing
        loss -= float((weight * target * log_q).sum())
        entropy -= float((np.exp(log_q) * log_q).sum())
        count += 1
    return loss / max(1, count), entropy / max(1, count)


def batch(seed: int, spatial: tuple[int, ...], classes: int = 4, scale: float = 2.0) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, (3, *spatial))
    labels[rng.random(labels.shape) < 0.3] = IGNORED
    labels[1] = IGNORED
    return {
        "logits": torch.tensor(rng.normal(0, scale, (3, classes, *spatial)), dtype=torch.float32),
        "labels": torch.tensor(labels),
        "weight": torch.tensor(rng.random(classes), dtype=torch.float32),
    }


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32), spatial=st.sampled_from([(5,), (2, 3), (2, 2, 2)]), weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]), channels_last=st.booleans(), scale=st.sampled_from([0.0, 2.0, 1e3]),
)  # fmt: skip
def test_both_terms_are_what_a_naive_loop_computes(
    seed: int, spatial: tuple[int, ...], weighted: bool, smoothing: float, channels_last: bool, scale: float
) -> None:
    given = batch(seed, spatial, scale=scale)
    logits, labels, weight = given["logits"], given["labels"], given["weight"]
    shown = logits.movedim(1, -1).contiguous().movedim(-1, 1) if channels_last else logits
    options = {"weight": weight} if weighted else {}
    loss, memory = dense(shown, labels, ignore_index=IGNORED, label_smoothing=smoothing, **options)
    factors = weight.double().numpy() if weighted else np.ones(4)
    rows = zip(logits.flatten(2).double().numpy(), labels.flatten(1).numpy(), strict=True)
    expected = [naive(*row, factors, smoothing) for row in rows]
    assert loss.dtype == memory.dtype == torch.float32
    assert loss.tolist() == pytest.approx([pair[0] for pair in expected], rel=1e-4, abs=1e-6)
    assert memory.tolist() == pytest.approx([pair[1] for pair in expected], rel=1e-4, abs=1e-6)
    assert loss[1] == memory[1] == 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_value_and_gradient_are_those_of_torch(smoothing: float, weighted: bool) -> None:
    given = batch(0, (4, 5))
    options: dict[str, Any] = {"ignore_index": IGNORED, "label_smoothing": smoothing}
    if weighted:
        options["weight"] = given["weight"]
    ours, theirs = (given["logits"].clone().requires_grad_() for _ in range(2))
    loss = dense(ours, given["labels"], **options).loss
    each = F.cross_entropy(theirs, given["labels"], reduction="none", **options)
    expected = each.flatten(1).sum(1) / (given["labels"] != IGNORED).flatten(1).sum(1).clamp_min(1)
    torch.testing.assert_close(loss, expected)
    slopes = torch.tensor([1.0, 5.0, -2.0])
    (loss * slopes).sum().backward()
    (expected * slopes).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert not ours.grad[1].any()


def test_without_ignored_pixels_the_mean_is_torch_s() -> None:
    logits, labels = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.ones(2, 4, 4).long()
    torch.testing.assert_close(dense(logits, labels).loss.mean(), F.cross_entropy(logits, labels))


def test_one_pixel_is_classification() -> None:
    logits, labels = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 5
    for smoothing in (0.0, 0.2):
        found = dense(logits[..., None], labels[:, None], label_smoothing=smoothing)
        torch.testing.assert_close(found, classification(logits, labels, label_smoothing=smoothing))


def test_a_class_that_is_ruled_out_and_the_memory_term_s_gradient() -> None:
    logits = torch.tensor([[[0.0], [0.0], [-torch.inf]]], requires_grad=True)
    for smoothing in (0.0, 0.1):
        loss, memory = dense(logits, torch.tensor([[0]]), label_smoothing=smoothing)
        assert memory.item() == pytest.approx(math.log(2))
        assert not memory.requires_grad
        assert not loss.isnan().any()
    dense(logits, torch.tensor([[0]])).loss.sum().backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32_and_double_in_double(dtype: torch.dtype) -> None:
    given = batch(2, (3, 3))
    half, labels = given["logits"].to(dtype), given["labels"]
    found, expected = (dense(logits, labels, ignore_index=IGNORED) for logits in (half, half.float()))
    assert torch.equal(found.loss, expected.loss)
    assert dense(half.double(), labels, ignore_index=IGNORED).memory.dtype == torch.float64


X, Y = torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4).long()
HOLE = Y.clone()
HOLE[1, 2, 3] = 255


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dense(X[:, :, 0, 0], Y[:, 0, 0]), r"logits is .*allowed: .*spatial.*scoring\.classification"),
        (lambda: dense(X[:, :1], Y), r"logits is .*two classes or more\. .*scoring\.multilabel\(logits\.flatten\(1\)"),
        (lambda: dense(X.long(), Y), "logits is 'torch.int64"),
        (lambda: dense(X, Y.int()), r"labels is 'torch.int32 .* Pass labels\.long\(\)"),
        (lambda: dense(X, Y[:, None]), r"labels is .* Pass labels\.squeeze\(1\)"),
        (lambda: dense(X, X), r"labels is .* labels\.argmax\(1\); .*scoring\.multilabel"),
        (lambda: dense(X, torch.zeros(2, 8, 8).long()), r"labels is .*\[2, 4, 4\]\. Resize the logits"),
        (lambda: dense(X, HOLE), r"labels\[1, 2, 3\] is 255; allowed: 0 to 2, or ignore_index, -100\. .*=255"),
        (lambda: dense(X, Y, weight=torch.ones(2)), r"weight is .* of shape \[3\]"),
        (lambda: dense(X, Y, label_smoothing=2.0), r"label_smoothing is 2\.0; allowed: a number in \[0, 1\]"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named_with_the_function_for_the_task(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
