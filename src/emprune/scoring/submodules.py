"""A model's submodules by their plain names, whatever it is wrapped into."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from emprune.errors import ArgumentError

_WRAPPED_AS = ("_orig_mod", "_checkpoint_wrapped_module")  # in torch.compile's wrapper and torch's checkpoint_wrapper


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside the wrappers of torch.compile, checkpoint_wrapper and DistributedDataParallel."""
    while True:
        inside = [name for name in model._modules if _is_wrapped_as(model, name)]
        if not inside:
            return model
        model = model.get_submodule(inside[0])


def find_modules(model: nn.Module, names: Iterable[str]) -> dict[str, nn.Module]:
    """The modules by the names given, wrappers passed over.

    Args:
        names: as in ``model.named_modules()`` of the model without wrappers.

    Raises:
        ArgumentError: one does not exist; the message names the nearest.
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError("model", type(model).__name__, "a torch.nn.Module")
    if isinstance(names, str):
        raise ArgumentError("layers", names, "a sequence of names", f"Write ({names!r},).")
    found: dict[str, nn.Module] = {}
    known: dict[str, nn.Module] = {}
    for name in names:
        known = known or _by_plain_name(model)
        if name not in known:
            nearest = difflib.get_close_matches(str(name), known, n=5, cutoff=0.0)
            hint = f"The nearest: {', '.join(map(repr, nearest))}."
            raise ArgumentError("layers", name, "names as in model.named_modules()", hint)
        found[name] = known[name]
    return found


def _by_plain_name(model: nn.Module, name: str = "") -> dict[str, nn.Module]:
    found = {name: unwrapped(model)}
    for part, child in found[name].named_children():
        found |= _by_plain_name(child, f"{name}.{part}" if name else part)
    return found


def _is_wrapped_as(parent: nn.Module, name: str) -> bool:
    return name in _WRAPPED_AS or (name == "module" and isinstance(parent, DistributedDataParallel))
