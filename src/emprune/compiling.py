"""Keeping torch.compile out of the pruner's own bookkeeping."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


def outside_graphs(method: Callable[P, R]) -> Callable[P, R]:
    """A method that a compiled step calls as it is: ``torch.compiler.disable``, imported only where it can matter.

    Traced, the pruner would add graphs and recompilations to a user's step, for no gain; and importing the compiler
    costs a second, which a process that never compiles need not pay.
    """
    disabled: Callable[P, R] | None = None

    @functools.wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal disabled
        if "torch._dynamo" not in sys.modules:
            return method(*args, **kwargs)
        if disabled is None:
            disabled = cast(Callable[P, R], _disable(method))
        return disabled(*args, **kwargs)

    return run


def _disable(method: Callable[..., Any]) -> Any:
    import torch

    return torch.compiler.disable(method)  # type: ignore[no-untyped-call]
