"""Memory, autocast and compilation: how contrastive scores are computed, not what they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from naive_contrast import drawn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from emprune.scoring import PerSample, contrastive, contrastive_queue

B, CHUNK = 512, 64


class Largest(TorchDispatchMode):
    """Elements of the largest tensor that an operation returns."""

    size = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.size = max(self.size, tensor.numel())
        return out


def with_views(first: torch.Tensor, second: torch.Tensor, memory: str) -> PerSample:
    return contrastive(first, second, memory=memory, hidden=[(first, second)], chunk_size=CHUNK)


def with_queue(first: torch.Tensor, second: torch.Tensor, memory: str) -> PerSample:
    queue = torch.ones(2 * B, first.shape[1])
    return contrastive_queue(first, second, queue, memory=memory, hidden=[(first, second)], chunk_size=CHUNK)


def plain(first: torch.Tensor, second: torch.Tensor, memory: str) -> PerSample:
    views = F.normalize(torch.cat([first, second]))
    return PerSample(torch.logsumexp(views @ views.T, dim=1), torch.zeros(2 * B))


@pytest.mark.parametrize("memory", ["hidden", "projector"])
def test_no_tensor_is_larger_than_a_chunk(memory: str) -> None:
    def largest(score: Callable[..., PerSample]) -> int:
        kept = []
        first, second = (x.requires_grad_() for x in drawn(B, 8))
        hooks = torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x)
        with Largest() as peak, hooks:
            score(first, second, memory).loss.sum().backward()
        return max(peak.size, *kept)

    assert largest(with_views) == largest(with_queue) == CHUNK * 2 * B
    assert largest(plain) == 2 * B * 2 * B  # the yardstick sees what torch makes


@pytest.mark.parametrize("memory", ["hidden", "projector", "alignment"])
def test_no_autocast_inside(memory: str) -> None:
    slopes, values = [], []
    for enabled in (False, True):
        first, second = (x.requires_grad_() for x in drawn(6, 4))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            found = contrastive(first, second, memory=memory, hidden=[(first, second)])
            found.loss.square().sum().backward()
            queued = contrastive_queue(first, second, second, memory=memory, hidden=[(first, second)])
        values.append(torch.stack([*found, *queued]))
        slopes.append(torch.stack([first.grad, second.grad]))
    assert torch.equal(*values)
    assert torch.equal(*slopes)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # the compiler's own doing
def test_it_compiles_into_one_graph() -> None:
    """For one size of batch, and then for any."""

    def step(first: torch.Tensor, second: torch.Tensor, queue: torch.Tensor) -> torch.Tensor:
        loss, term = contrastive(first, second, memory="hidden", hidden=[(second, first)], chunk_size=8)
        queued = contrastive_queue(first, second, queue, memory="projector")
        return loss * (1 + term) + queued.loss * (2 + queued.memory)

    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    for size in (7, 5):
        slopes, values = [], []
        for function in (compiled, step):
            first, second, queue = (x.requires_grad_() for x in drawn(size, 3, number=3))
            value = function(first, second, queue)
            value.square().sum().backward()
            values.append(value)
            slopes.append(torch.cat([first.grad, second.grad]))
        torch.testing.assert_close(*values)
        torch.testing.assert_close(*slopes)


def test_a_second_derivative_is_refused() -> None:
    first, second = (x.requires_grad_() for x in drawn(4, 3))
    (slope,) = torch.autograd.grad(contrastive(first, second, memory="none").loss.sum(), first, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        slope.sum().backward()
