"""Regression against naive loops in float64, and against torch for value and gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from emprune import IdBatches, Pruner
from emprune.errors import ArgumentError
from emprune.scoring import regression


def naive(mean: float, y: float, variance: float | None, kind: str, delta: float) -> float:
    error = abs(y - mean)
    if variance is not None:
        return (math.log(2 * math.pi * variance) + error**2 / variance) / 2
    if kind == "huber":
        return error**2 / 2 if error <= delta else delta * (error - delta / 2)
    return error if kind == "absolute" else error**2


def drawn(seed: int, shape: tuple[int, ...]) -> list[torch.Tensor]:
    rng = np.random.default_rng(seed)
    variance = np.exp(rng.normal(0, 2, shape))
    return [torch.tensor(values, dtype=torch.float32) for values in (*rng.normal(0, 2, (2, *shape)), variance)]


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32), shape=st.sampled_from([(1,), (5,), (4, 1), (3, 4), (2, 3, 2)]),
    kind=st.sampled_from(["squared", "absolute", "huber", "gaussian"]), delta=st.sampled_from([0.5, 1.0, 3.0]),
)  # fmt: skip
def test_both_terms_are_what_a_naive_loop_computes(seed: int, shape: tuple[int, ...], kind: str, delta: float) -> None:
    mean, y, variance = drawn(seed, shape)
    gaussian = kind == "gaussian"
    options = {"variance": variance} if gaussian else {"kind": kind, "delta": delta}
    loss, memory = regression(mean, y, **options)
    size = shape[0]
    rows = [values.reshape(size, -1).double().tolist() for values in (mean, y, variance)]
    expected = [
        sum(naive(m, t, v if gaussian else None, kind, delta) for m, t, v in zip(*row, strict=True)) / len(row[0])
        for row in zip(*rows, strict=True)
    ]
    assert loss.shape == (size,)
    assert loss.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    if not gaussian:
        assert memory is None
        return
    entropies = [sum(math.log(2 * math.pi * math.e * v) / 2 for v in row) / len(row) for row in rows[2]]
    assert memory.tolist() == pytest.approx(entropies, rel=1e-5, abs=1e-6)
    assert not memory.requires_grad


@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, F.mse_loss),
        ({"kind": "absolute"}, F.l1_loss),
        ({"kind": "huber", "delta": 0.7}, lambda mean, y: F.huber_loss(mean, y, delta=0.7)),
    ],
)
def test_value_and_gradient_are_those_of_torch(options: dict[str, Any], theirs: Any) -> None:
    mean, y, _ = drawn(0, (6, 3))
    ours, reference = (mean.clone().requires_grad_() for _ in range(2))
    found, expected = regression(ours, y, **options).loss.mean(), theirs(reference, y)
    torch.testing.assert_close(found, expected)
    found.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, reference.grad)


def test_a_predicted_variance_learns_as_with_torch() -> None:
    mean, y, variance = drawn(1, (6, 3))
    ours, theirs = ([values.clone().requires_grad_() for values in (mean, variance)] for _ in range(2))
    found = regression(ours[0], y, variance=ours[1]).loss.mean()
    expected = F.gaussian_nll_loss(theirs[0], y, theirs[1], full=True)
    torch.testing.assert_close(found, expected)
    found.backward()
    expected.backward()
    for here, there in zip(ours, theirs, strict=True):
        torch.testing.assert_close(here.grad, there.grad)


def test_the_entropy_turns_negative_at_a_standard_deviation_of_0_242() -> None:
    edge = 1 / math.sqrt(2 * math.pi * math.e)
    assert edge == pytest.approx(0.242, abs=1e-3)
    zeros = torch.zeros(2)
    memory = regression(zeros, zeros, variance=torch.tensor([0.9 * edge, 1.1 * edge]).square()).memory
    assert memory[0] < 0 < memory[1]


def test_a_run_without_a_variance_warns_once_and_trains() -> None:
    pruner = Pruner(20, "emp", prune_rate=0.5, num_epochs=3)
    y = torch.arange(20.0)

    def train() -> None:
        for _ in pruner.epochs():
            for ids in IdBatches(pruner, 5):
                pruner.loss(ids, *regression(torch.zeros(len(ids), requires_grad=True), y[ids])).backward()

    with pytest.warns(UserWarning, match="EMP ranks by the loss alone") as told:
        train()
    assert len(told) == 1
    assert pruner.report().samples_backward == 30


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32_and_double_in_double(dtype: torch.dtype) -> None:
    mean, y, variance = (values.to(dtype) for values in drawn(2, (8,)))
    found, expected = regression(mean, y, variance=variance), regression(mean.float(), y, variance=variance.float())
    assert torch.equal(found.loss, expected.loss)
    assert regression(mean.double(), y).loss.dtype == torch.float64


X, Y = torch.zeros(4), torch.zeros(4)
BAD = torch.tensor([0, 1, torch.nan, torch.inf])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regression(X.long(), Y), r"prediction is 'torch.int64 .*scoring\.classification"),
        (lambda: regression(torch.tensor(1.0), Y), r"prediction is .*shape \[batch, \.\.\.\]"),
        (lambda: regression(X[:, None], Y), r"target is .*\[4, 1\]\. Pass prediction\.squeeze\(1\)"),
        (lambda: regression(X, Y[:, None]), r"target is .*shape, \[4\]\. Pass target\.squeeze\(-1\)"),
        (lambda: regression(torch.zeros(4, 3), Y.long()), r"target is .*\[4, 3\].*scoring\.classification"),
        (lambda: regression(X, BAD), r"target\[2\] is nan; allowed: finite numbers \(and in 1 more of 4 rows\)"),
        (lambda: regression(X, Y, kind="tukey"), r"kind is 'tukey'; allowed: one of squared, .*pruner\.loss"),
        (lambda: regression(X, Y, kind="huber", delta=0.0), r"delta is 0\.0"),
        (lambda: regression(X, Y, variance=Y + 1, kind="huber"), "kind is 'huber'; allowed: 'squared' with a variance"),
        (lambda: regression(X, Y, variance=torch.ones(4, 1)), r"variance is .* of shape \[4\]"),
        (lambda: regression(X, Y, variance=BAD - 0.5), r"variance\[0\] is -0\.5; .*above 0.*log_variance\.exp\(\)"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
