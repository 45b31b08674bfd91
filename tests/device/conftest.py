"""Devices that the tests of this folder run on: CUDA where there is one, and twins of it on every machine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import stand_in
import torch
from on_cuda import begin, no_waiting_for_cuda

CUDA = pytest.param(
    "cuda",
    marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")],
)


@pytest.fixture(scope="session", autouse=True)
def _cuda_has_begun() -> None:
    if torch.cuda.is_available():
        begin()


@pytest.fixture(params=["cpu", "stand-in", CUDA])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The processor, the stand-in for an accelerator, and CUDA."""
    yield from _entered(request.param, monkeypatch)


@pytest.fixture(params=["stand-in", CUDA])
def accelerator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """Devices that the host can run ahead of."""
    yield from _entered(request.param, monkeypatch)


@pytest.fixture(params=["cpu", CUDA])
def processor(request: pytest.FixtureRequest) -> torch.device:
    """Devices with autocast, a compiler and graphs, which the stand-in has not."""
    return torch.device(request.param)


@pytest.fixture
def no_waiting(accelerator: torch.device) -> Callable[[], AbstractContextManager[None]]:
    """A context in which it is an error that the host waits for the device."""
    return no_waiting_for_cuda if accelerator.type == "cuda" else stand_in.no_waiting


def _entered(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    if name != "stand-in":
        yield torch.device(name)
        return
    autocast = torch.autocast

    def known(device_type: str, *args: Any, **kwargs: Any) -> AbstractContextManager[Any]:
        return (
            contextlib.nullcontext() if device_type == stand_in.DEVICE.type else autocast(device_type, *args, **kwargs)
        )

    monkeypatch.setattr(torch, "autocast", known)  # torch's own knows a fixed list of devices
    with stand_in.StandIn():
        yield stand_in.DEVICE
