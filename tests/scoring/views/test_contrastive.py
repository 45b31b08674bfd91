"""NT-Xent, InfoNCE with a queue and their memory terms against naive loops in float64; what must hold of them."""

from __future__ import annotations

import math
import sys

import naive_contrast as naive
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_contrast import drawn

from emprune.scoring import contrastive, contrastive_queue, info_nce, misalignment, ntxent, similarity_entropy

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


@pytest.mark.parametrize("memory_temperature", [0.5, 0.1])
def test_a_sample_has_the_means_of_its_views(memory_temperature: float) -> None:
    first, second = (x.requires_grad_() for x in drawn(6, 4))
    layers = [tuple(drawn(6, width, seed=width)) for width in (3, 8)]
    losses, entropies = naive.views(first, second, 0.5)[0], naive.views(first, second, memory_temperature)[1]
    of_layers = [naive.samples(naive.views(*pair, memory_temperature)[1]) for pair in layers]
    right = {
        "hidden": sum(of_layers) / 2,
        "projector": naive.samples(entropies.detach()),
        "alignment": sum(naive.alignment(*pair) for pair in layers) / 2,
        "none": torch.zeros(6, dtype=torch.float64),
    }
    for memory, expected in right.items():
        loss, term = contrastive(
            first, second, memory=memory, hidden=layers, memory_temperature=memory_temperature, chunk_size=5
        )
        assert loss.requires_grad
        assert not term.requires_grad
        assert loss.dtype == term.dtype == torch.float32
        torch.testing.assert_close(loss.double(), naive.samples(losses), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(term.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("memory_temperature", [0.2, 0.1])
def test_a_query_has_the_memory_term_asked_for(memory_temperature: float) -> None:
    (queries, keys), (queue,) = drawn(6, 4), drawn(9, 4, seed=2, number=1)
    layers = [tuple(drawn(6, width, seed=width)) for width in (3, 8)]
    of_layers = [naive.samples(naive.views(*pair, memory_temperature)[1]) for pair in layers]
    right = {
        "hidden": sum(of_layers) / 2,
        "projector": naive.queries(queries, keys, queue, memory_temperature)[1],
        "alignment": sum(naive.alignment(*pair) for pair in layers) / 2,
        "none": torch.zeros(6, dtype=torch.float64),
    }
    for memory, expected in right.items():
        loss, term = contrastive_queue(
            queries.requires_grad_(), keys, queue, memory=memory, hidden=layers, memory_temperature=memory_temperature
        )
        assert loss.requires_grad
        assert not term.requires_grad
        torch.testing.assert_close(loss.double(), naive.queries(queries, keys, queue, 0.2)[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(term.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("memory_temperature", [0.5, 0.1])
def test_a_small_batch_is_corrected_to_the_usual_one(memory_temperature: float) -> None:
    """Features all alike: the values of a batch of 32 are then known, and a batch of 5 has the same."""
    alike, layer = torch.ones(5, 3, requires_grad=True), [(torch.ones(5, 2), torch.ones(5, 2))]
    for memory in ("hidden", "projector"):
        loss, term = contrastive(
            alike, alike, memory=memory, hidden=layer, memory_temperature=memory_temperature, batch_size=32
        )
        torch.testing.assert_close(loss, torch.full((5,), math.log(63)))
        torch.testing.assert_close(term, torch.full((5,), math.log(63)))
    for memory in ("alignment", "none"):
        assert contrastive(alike, alike, memory=memory, hidden=layer, batch_size=32).memory.abs().max() < 1e-6
    plain, corrected = (contrastive(alike, alike, memory="none", batch_size=size).loss for size in (None, 5))
    assert torch.equal(plain, corrected)
    queue = torch.ones(9, 3)
    loss, term = contrastive_queue(alike, alike, queue, memory="hidden", hidden=layer, batch_size=32)
    torch.testing.assert_close(loss, torch.full((5,), math.log(10)))
    torch.testing.assert_close(term, torch.full((5,), math.log(63)))
    term = contrastive_queue(alike, alike, queue, memory="projector", batch_size=32).memory
    torch.testing.assert_close(term, torch.full((5,), math.log(10)))


def test_the_batch_size_correction_has_no_gradient() -> None:
    slopes = []
    for size in (None, 50):
        first, second = (x.requires_grad_() for x in drawn(6, 4))
        contrastive(first, second, memory="none", batch_size=size).loss.sum().backward()
        slopes.append(torch.cat([first.grad, second.grad]))
    assert torch.equal(*slopes)


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


@settings(max_examples=40)
@given(st.integers(2, 9), st.integers(1, 6), st.sampled_from([0.01, 0.1, 1.0, 10.0]), st.integers(0, 10**6), st.data())
def test_properties(size: int, width: int, temperature: float, seed: int, data: st.DataObject) -> None:
    """Bounds, and no value depends on a sample's place, on which view is first, on chunks or on lengths."""
    first, second = drawn(size, width, seed=seed)
    order = torch.tensor(data.draw(st.permutations(range(size))))
    options = {"memory": "projector", "temperature": 0.5, "memory_temperature": temperature}
    loss, term = contrastive(first, second, **options)
    assert bool((loss >= 0).all())
    assert bool((term >= 0).all())
    assert bool((term <= math.log(2 * size - 1) + 1e-4).all())
    others = {
        "order": [column[order.argsort()] for column in contrastive(first[order], second[order], **options)],
        "views": contrastive(second, first, **options),
        "chunks": contrastive(first, second, chunk_size=data.draw(st.integers(1, 20)), **options),
        "lengths": contrastive(first * 1e-25, second * 1e30, **options),
    }
    for name, (other, other_term) in others.items():
        torch.testing.assert_close(other, loss, rtol=1e-4, atol=1e-4, msg=name)
        torch.testing.assert_close(other_term, term, rtol=1e-3, atol=1e-3 / temperature, msg=name)


@pytest.mark.parametrize("memory_temperature", [0.5, 0.1])
def test_nothing_is_computed_that_nobody_wants(memory_temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes over similarities: one for the loss, which the projector's entropies share at the same temperature."""
    module = sys.modules["emprune.scoring.views.choices"]
    passes, plain = [], module.log_sum_exp
    monkeypatch.setattr(module, "log_sum_exp", lambda *a, **k: passes.append(k["entropy"]) or plain(*a, **k))
    first, second = drawn(6, 4)
    shared = memory_temperature == 0.5
    wanted = {"none": [False], "alignment": [False], "hidden": [False, True, True]}
    for memory, expected in {**wanted, "projector": [True] if shared else [False, True]}.items():
        passes.clear()
        layers = [(first, second), (second, first)]
        contrastive(first, second, memory=memory, hidden=layers, memory_temperature=memory_temperature)
        assert passes == expected
