"""Keeping torch.compile out of the pruner's own bookkeeping."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import torch

P = ParamSpec("P")
R = TypeVar("R")


def outside_graphs(method: Callable[P, R]) -> Callable[P, R]:
    """A method that a compiled step calls as it is: ``torch.compiler.disable``, where a step is compiled.

    Traced, the pruner would add graphs and recompilations to a user's step, for no gain. Elsewhere the method is called
    at once: what torch puts around a disabled function costs a plain step 10 to 20 µs, and importing the compiler costs
    a second, which a process that never compiles need not pay.
    """
    disabled: Callable[P, R] | None = None

    @functools.wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal disabled
        if not torch.compiler.is_dynamo_compiling():
            return method(*args, **kwargs)
        if disabled is None:
            disabled = cast(Callable[P, R], _disable(method))
        return disabled(*args, **kwargs)

    return run


def _disable(method: Callable[..., Any]) -> Any:
    return torch.compiler.disable(method)  # type: ignore[no-untyped-call]
