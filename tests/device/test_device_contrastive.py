"""Contrastive losses and memory terms on a device against loops over views in float64; and nothing waits for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import naive_contrast as naive
import pytest
import torch
from naive_contrast import drawn

from emprune.scoring import contrastive, contrastive_queue

B, D, K = 6, 5, 11
MEMORY = ["hidden", "projector", "alignment", "none"]
TOLERANCE = {torch.float32: 5e-5, torch.bfloat16: 2**-7}


def layers() -> list[tuple[torch.Tensor, torch.Tensor]]:
    first, second = drawn(B, 4, seed=3)
    return [(first, second), (first.sin(), second.sin() + 1)]


def right_memory(memory: str, projector: torch.Tensor) -> torch.Tensor:
    """float64, shape [B]; ``projector``: what it is if it is of the projector."""
    if memory == "projector":
        return projector
    if memory == "none":
        return torch.zeros(B, dtype=torch.float64)
    if memory == "alignment":
        return torch.stack([naive.alignment(*pair) for pair in layers()]).mean(dim=0)
    return torch.stack([naive.samples(naive.views(*pair, 0.1)[1]) for pair in layers()]).mean(dim=0)


def check(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    torch.testing.assert_close(found.detach().cpu().double(), expected.detach(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_two_views(device: torch.device, dtype: torch.dtype, memory: str) -> None:
    views = [view.to(dtype) for view in drawn(B, D)]
    leaves = [view.to(device, copy=True).requires_grad_() for view in views]
    hidden = [(first.to(device), second.to(device)) for first, second in layers()]
    loss, term = contrastive(*leaves, memory=memory, hidden=hidden, chunk_size=4)
    slopes = torch.linspace(-1, 2, B)
    (loss * slopes.to(device)).sum().backward()

    references = [view.double().requires_grad_() for view in views]
    expected = naive.samples(naive.views(*references, 0.5)[0])
    (expected * slopes.double()).sum().backward()
    projector = naive.samples(naive.views(*(view.double() for view in views), 0.1)[1])
    check(loss, expected, 5e-5)
    check(term, right_memory(memory, projector), 5e-5)
    for leaf, reference in zip(leaves, references, strict=True):
        check(leaf.grad, reference.grad, TOLERANCE[dtype])


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_queue_of_keys(device: torch.device, dtype: torch.dtype, memory: str) -> None:
    queries, keys = (part.to(dtype) for part in drawn(B, D))
    queue = drawn(K, D, seed=2, number=1)[0].to(dtype)
    leaf = queries.to(device, copy=True).requires_grad_()
    hidden = [(first.to(device), second.to(device)) for first, second in layers()]
    loss, term = contrastive_queue(leaf, keys.to(device), queue.to(device), memory=memory, hidden=hidden, chunk_size=4)
    slopes = torch.linspace(-1, 2, B)
    (loss * slopes.to(device)).sum().backward()

    reference = queries.double().requires_grad_()
    expected, _ = naive.queries(reference, keys, queue, 0.2)
    (expected * slopes.double()).sum().backward()
    check(loss, expected, 5e-5)
    check(term, right_memory(memory, naive.queries(queries, keys, queue, 0.1)[1]), 5e-5)
    check(leaf.grad, reference.grad, TOLERANCE[dtype])


@pytest.mark.parametrize("memory", MEMORY)
def test_autocast_changes_nothing(processor: torch.device, memory: str) -> None:
    hidden = [(first.to(processor), second.to(processor)) for first, second in layers()]
    found = []
    for enabled in (False, True):
        first, second = (view.to(processor, copy=True).requires_grad_() for view in drawn(B, D))
        with torch.autocast(processor.type, torch.bfloat16, enabled=enabled):
            scores = contrastive(first, second, memory=memory, hidden=hidden)
            queued = contrastive_queue(first, second, second, memory=memory, hidden=hidden)
            (scores.loss.square() + queued.loss.square()).sum().backward()
        found.append(
            torch.cat([torch.stack([*scores, *queued]).flatten(), first.grad.flatten(), second.grad.flatten()])
        )
    torch.testing.assert_close(found[1].cpu(), found[0].cpu(), rtol=1e-6, atol=1e-6)


def test_a_row_of_zeros_is_said_by_the_losses(accelerator: torch.device) -> None:
    first, second = drawn(B, D)
    first[2] = 0
    loss, _ = contrastive(first.to(accelerator), second.to(accelerator), memory="none")
    assert loss.cpu().isnan().all()


@pytest.mark.parametrize("memory", MEMORY)
def test_the_device_is_not_waited_for(
    accelerator: torch.device, no_waiting: Callable[[], AbstractContextManager[None]], memory: str
) -> None:
    first, second = (view.to(accelerator).requires_grad_() for view in drawn(B, D))
    hidden = [(one.to(accelerator), other.to(accelerator)) for one, other in layers()]
    with no_waiting():
        found = contrastive(first, second, memory=memory, hidden=hidden, batch_size=B + 3)
        queued = contrastive_queue(first, second, second, memory=memory, hidden=hidden)
        (found.loss + queued.loss).sum().backward()
    on_host = contrastive(*drawn(B, D), memory=memory, hidden=layers(), batch_size=B + 3)
    torch.testing.assert_close(torch.stack(found).cpu(), torch.stack(on_host), rtol=1e-4, atol=1e-4)
