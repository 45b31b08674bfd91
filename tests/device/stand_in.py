"""A stand-in for an accelerator, so that what runs on one is tested without: its tensors report another device.

Their values lie on the CPU and are computed there, operation by operation. As on an accelerator, reading a value and
copying without ``non_blocking`` make the host wait, which :attr:`StandIn.may_wait` can forbid, and tensors of two
devices do not mix. What CUDA alone does is not shown: order and precision of sums, failing kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

DEVICE = torch.device("meta")  # torch lets tensors report it in any build, and runs backward for it on the main thread
HOST = torch.device("cpu")

_aten = torch.ops.aten
_COPIES = {_aten._to_copy.default, _aten.copy_.default}
_BY_MASK = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default}
_READING = {
    _aten._local_scalar_dense.default, _aten.nonzero.default, _aten.masked_select.default, _aten.equal.default,
    _aten._unique2.default, _aten.unique_dim.default, _aten.repeat_interleave.Tensor, _aten.bincount.default,
    _aten.is_nonzero.default,
}  # fmt: skip


class WaitedError(RuntimeError):
    """The host waited for the device where it must not."""


class OnDevice(torch.Tensor):
    """A tensor of the stand-in; ``held`` has its values."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnDevice:
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=DEVICE,
        )  # fmt: skip

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def __repr__(self) -> str:
        return f"OnDevice({self.held!r})"


class StandIn(TorchDispatchMode):
    """While it is entered, ``torch.device("meta")`` is a device whose tensors have values."""

    may_wait = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


@contextmanager
def no_waiting() -> Iterator[None]:
    """Raise :class:`WaitedError` where the host waits for the stand-in."""
    StandIn.may_wait = False
    try:
        yield
    finally:
        StandIn.may_wait = True


def _run(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    flat, layout = tree_flatten((args, dict(kwargs)))
    wrappers = {id(value.held): value for value in flat if isinstance(value, OnDevice)}
    to_device = bool(wrappers)
    if func is _aten.copy_.default:
        to_device = isinstance(args[0], OnDevice)
    elif kwargs.get("device") is not None:
        to_device = torch.device(kwargs["device"]) == DEVICE
    if func in _COPIES:
        _check_copy(func, args, kwargs, to_device)
    elif wrappers:
        _check_operation(func, flat)
    args, kwargs = tree_unflatten([value.held if isinstance(value, OnDevice) else value for value in flat], layout)
    if kwargs.get("device") is not None:
        kwargs["device"] = HOST
    if func is _aten._to_copy.default and to_device != bool(wrappers):
        kwargs["non_blocking"] = False
    found = func(*args, **kwargs)

    def given(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) in wrappers:  # an operation in place returns its argument
            return wrappers[id(value)]
        return OnDevice(value) if to_device else value

    return tree_map(given, found)


def _check_copy(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], to_device: bool) -> None:
    source = args[1] if func is _aten.copy_.default else args[0]
    without_waiting = kwargs.get("non_blocking") or (func is _aten.copy_.default and args[2:3] == (True,))
    # To the host, a copy that nobody waited for has no values yet.
    if isinstance(source, OnDevice) != to_device and not (to_device and without_waiting):
        _wait(f"{func} between host and device")


def _check_operation(func: Any, flat: list[Any]) -> None:
    tensors = [value for value in flat if isinstance(value, torch.Tensor)]
    if any(value.ndim and not isinstance(value, OnDevice) for value in tensors):
        raise RuntimeError(f"{func} is given tensors on the device and on the host")
    if func in _READING or (func in _BY_MASK and any(value.dtype == torch.bool for value in tensors[1:])):
        _wait(str(func))


def _wait(what: str) -> None:
    if not StandIn.may_wait:
        raise WaitedError(f"{what} is a synchronizing operation")
