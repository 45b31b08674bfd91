"""NT-Xent, InfoNCE with a queue and their entropies against naive loops in float64, and closed forms."""

from __future__ import annotations

import math

import naive_contrast as naive
import pytest
import torch
from naive_contrast import drawn

from emprune.scoring import info_nce, misalignment, ntxent, similarity_entropy

TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("temperature", [0.05, 0.5, 3.0])
@pytest.mark.parametrize("chunk_size", [1, 5, 100])
def test_losses_and_gradients_of_views(dtype: torch.dtype, temperature: float, chunk_size: int) -> None:
    first, second = (x.to(dtype).requires_grad_() for x in drawn(6, 4))
    found = ntxent(first, second, temperature=temperature, chunk_size=chunk_size)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    slope = torch.linspace(-1, 2, 12, dtype=torch.float64)
    given = [x.detach().double().requires_grad_() for x in (first, second)]
    right, _ = naive.views(*given, temperature)
    (found * slope).sum().backward()
    (right * slope).sum().backward()
    sums = min(TOLERANCE[dtype], 2e-5)
    torch.testing.assert_close(found.double(), right, rtol=sums, atol=sums)
    for leaf, reference in zip((first, second), given, strict=True):
        assert leaf.grad.dtype == dtype
        torch.testing.assert_close(leaf.grad.double(), reference.grad, rtol=TOLERANCE[dtype], atol=10 * sums)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("temperature", [0.02, 0.1, 3.0])
@pytest.mark.parametrize("chunk_size", [1, 5, 100])
def test_entropies_of_views(dtype: torch.dtype, temperature: float, chunk_size: int) -> None:
    first, second = (x.to(dtype).requires_grad_() for x in drawn(6, 4, seed=1))
    found = similarity_entropy(first, second, temperature=temperature, chunk_size=chunk_size)
    _, right = naive.views(first, second, temperature)
    assert not found.requires_grad
    torch.testing.assert_close(found.double(), right.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("chunk_size", [1, 3, 100])
def test_queries_against_a_queue(dtype: torch.dtype, chunk_size: int) -> None:
    queries, keys = (x.to(dtype).requires_grad_() for x in drawn(5, 4))
    (queue,) = (x.to(dtype).requires_grad_() for x in drawn(7, 4, seed=2, number=1))
    found = info_nce(queries, keys, queue, chunk_size=chunk_size)
    leaf = queries.detach().double().requires_grad_()
    right, _ = naive.queries(leaf, keys.detach(), queue.detach(), 0.2)
    sums = min(TOLERANCE[dtype], 2e-5)
    torch.testing.assert_close(found.double(), right, rtol=sums, atol=sums)
    slope = torch.linspace(-1, 2, 5, dtype=torch.float64)
    (found * slope).sum().backward()
    (right * slope).sum().backward()
    torch.testing.assert_close(queries.grad.double(), leaf.grad, rtol=TOLERANCE[dtype], atol=10 * sums)
    assert keys.grad is None
    assert queue.grad is None


def test_misalignment() -> None:
    first, second = drawn(5, 4)
    torch.testing.assert_close(misalignment(first, second).double(), naive.alignment(first, second))
    torch.testing.assert_close(misalignment(first, -3 * first), torch.full((5,), 2.0))
    assert not misalignment(first.requires_grad_(), second).requires_grad


def test_gradcheck() -> None:
    first, second, queue = (x.double().requires_grad_() for x in drawn(4, 3, number=3))
    assert torch.autograd.gradcheck(lambda x, y: ntxent(x, y, chunk_size=3), (first, second))
    assert torch.autograd.gradcheck(lambda x: ntxent(x, 2 * x + second, temperature=0.1), first)
    assert torch.autograd.gradcheck(lambda x: info_nce(x, second, queue, chunk_size=3), first)


def test_closed_forms() -> None:
    """All alike; and every sample in a direction of its own."""
    for size in (2, 7):
        alike = torch.full((size, 3), -2.5)
        torch.testing.assert_close(ntxent(alike, alike), torch.full((2 * size,), math.log(2 * size - 1)))
        torch.testing.assert_close(similarity_entropy(alike, alike), torch.full((2 * size,), math.log(2 * size - 1)))
    apart, t = torch.eye(9), 0.5
    loss = math.log(math.exp(1 / t) + 16) - 1 / t
    torch.testing.assert_close(ntxent(apart, 3 * apart, temperature=t), torch.full((18,), loss))
    # Float32 could not tell p from 1 at this temperature; not far below it the loss is denormal, with few digits.
    near = 16 * math.exp(-80)
    torch.testing.assert_close(ntxent(apart, apart, temperature=1 / 80), torch.full((18,), near), rtol=1e-4, atol=0)
