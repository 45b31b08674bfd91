"""Submodules by their plain names, through the wrappers of torch; a wrong name is told what is near."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

from emprune import ArgumentError
from emprune.scoring.submodules import find_modules, unwrapped


def new_model() -> nn.Sequential:
    """Modules "", "0", "1", "1.0" and "1.1"."""
    return nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 3), nn.ReLU()))


def test_names_are_those_without_wrappers() -> None:
    model = new_model()
    inner, relu = model[1], model[1][1]
    model[1] = checkpoint_wrapper(inner)
    wrapped = torch.compile(model, backend="eager")
    assert find_modules(wrapped, ["", "1", "1.1"]) == {"": model, "1": inner, "1.1": relu}
    assert unwrapped(wrapped) is model
    assert unwrapped(torch.compile(checkpoint_wrapper(relu), backend="eager")) is relu


def test_a_child_called_module_is_no_wrapped_model() -> None:
    model = nn.Sequential()
    model.add_module("module", nn.Linear(2, 2))
    assert unwrapped(model) is model
    assert find_modules(model, ["module"]) == {"module": model.module}


def test_the_order_is_that_of_the_names() -> None:
    assert list(find_modules(new_model(), ("1.0", "0"))) == ["1.0", "0"]


def test_what_cannot_be_found_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"layers is '1\.2'; allowed: names as in .*The nearest: '1\.1', '1\.0'"):
        find_modules(new_model(), ["0", "1.2"])
    with pytest.raises(ArgumentError, match=r"layers is '1\.0'; allowed: a sequence of names.*Write \('1\.0',\)"):
        find_modules(new_model(), "1.0")
    with pytest.raises(ArgumentError, match=r"model is 'function'; allowed: a torch\.nn.Module"):
        find_modules(new_model, ["0"])
