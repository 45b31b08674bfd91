"""Losses and memory terms of samples from their views: naive loops in float64, and what must hold of them."""

from __future__ import annotations

import math

import naive_contrast as naive
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_contrast import drawn

from emprune.scoring import contrastive, contrastive_queue


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
