"""What the tests do on CUDA alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


@contextmanager
def no_waiting_for_cuda() -> Iterator[None]:
    """Raise RuntimeError where torch waits for the device."""
    _set_sync_debug_mode("error")
    try:
        yield
    finally:
        _set_sync_debug_mode("default")


def begin() -> None:
    """Create what backward needs on its own thread, where torch warns the first time that it does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = torch.ones(2, 2, device="cuda", requires_grad=True)
        (values @ values).sum().backward()
    torch.cuda.synchronize()


def _set_sync_debug_mode(mode: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it is a prototype
        torch.cuda.set_sync_debug_mode(mode)


def captured(step: Callable[[], None]) -> Callable[[], None]:
    """The step as a CUDA graph, which each call replays. It runs a few times here, as capturing needs."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay
