"""A user's training function: found by name, named, and checked for what other processes need of it."""

from __future__ import annotations

import hashlib
import inspect
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emprune.errors import ArgumentError, did_you_mean
from emprune_lab.imports import NAMED, imported

Returned = float | Mapping[str, float]
TrainFunction = Callable[..., Returned]
"""Of (pruner, seed), or of (pruner, seed, folder) where it has an argument of that name."""

_HINT = "The function takes (pruner, seed), trains, and returns a number or a dict of numbers."


def load_function(name: str) -> TrainFunction:
    """Import a function, from modules beside the working directory too.

    Args:
        name: "module:function", "package.module:function" or "folder/file.py:function".

    Raises:
        ArgumentError: it is no such name, or there is no such function. DataError: the module cannot be imported.
    """
    where, colon, attribute = name.rpartition(":")
    if not colon or not where or not attribute:
        raise ArgumentError("train", name, NAMED, _HINT)
    module = imported("train", where, name)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = [one for one, value in vars(module).items() if inspect.isfunction(value)]
            hint = did_you_mean(attribute, known) or (f"{where} has {', '.join(known)}." if known else "")
            raise ArgumentError("train", name, f"a function of {where}", hint)
        found = getattr(found, part)
    check_function(found)
    return found  # type: ignore[no-any-return]


def check_function(function: object) -> None:
    """Raise ArgumentError unless it can be called with (pruner, seed)."""
    if not callable(function):
        raise ArgumentError("train", function, "a function of (pruner, seed)", _HINT)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # one that does not say what it takes
        return
    try:
        signature.bind("pruner", "seed", **({"folder": "folder"} if takes_folder(function) else {}))
    except TypeError as error:
        raise ArgumentError(
            "train", f"{name_of(function)}{signature}", "a function of (pruner, seed), or of (pruner, seed, folder)",
            "Other arguments need defaults.",
        ) from error  # fmt: skip


def takes_folder(function: Callable[..., Any]) -> bool:
    """Whether it has an argument ``folder``, to which its run's own folder is given."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return "folder" in parameters


def check_importable(function: Callable[..., Any]) -> None:
    """Raise ArgumentError unless other processes find the function by its name."""
    name = name_of(function)
    hint = "Define it with def at the top level of a module or script; jobs=1 takes any function."
    try:
        pickle.dumps(function)
    except Exception as error:  # pickle raises what it comes across
        raise ArgumentError("train", name, "a function that other processes can import, with jobs > 1", hint) from error
    main = sys.modules["__main__"]
    is_script = Path(getattr(main, "__file__", None) or "").is_file() or getattr(main, "__spec__", None) is not None
    if _inner(function).__module__ == "__main__" and not is_script:
        raise ArgumentError(
            "train", name, "a function of a module, with jobs > 1: other processes cannot import a session",
            "Put it into a file and import it from there; jobs=1 takes any function.",
        )  # fmt: skip


def name_of(function: Callable[..., Any]) -> str:
    """As "module:function"; a script's own goes by the script's name."""
    inner = _inner(function)
    module = inner.__module__
    if module in ("__main__", "__mp_main__"):
        file = getattr(sys.modules["__main__"], "__file__", None)
        module = Path(file).stem if file else "session"
    return f"{module}:{inner.__qualname__}"


def file_of(function: Callable[..., Any]) -> Path | None:
    """The source file that defines it; None where there is none."""
    try:
        path = Path(inspect.getsourcefile(_inner(function)) or "")
    except (TypeError, OSError):
        return None
    return path if path.is_file() else None


def source_version(function: Callable[..., Any]) -> dict[str, str]:
    """The file that defines it and a digest of what it held when it was asked for; empty where there is none."""
    path = file_of(function)
    if path is None:
        return {}
    return {path.name: hashlib.blake2b(path.read_bytes(), digest_size=5).hexdigest()}


def _inner(function: Callable[..., Any]) -> Any:
    """What was wrapped by functools.partial, or the class of an object that can be called."""
    while isinstance(getattr(function, "func", None), Callable):  # type: ignore[arg-type]
        function = function.func  # type: ignore[attr-defined]
    return function if hasattr(function, "__qualname__") else type(function)


def length_of(function: Callable[..., Any], name: str, given: int | None) -> int:
    """num_samples or num_epochs: as given, or an attribute of the function.

    Raises:
        ArgumentError: neither, or no whole number of at least 1.
    """
    value = getattr(function, name, None) if given is None else given
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        what = {"num_samples": "the length of the training set", "num_epochs": "epochs of a full run"}[name]
        own = name_of(function).rpartition(":")[2]
        raise ArgumentError(
            name, value, f"a whole number of at least 1, {what}",
            f"Give {name}=, on the command line --{name.replace('_', '-')}, or set {own}.{name} beside the function.",
        )  # fmt: skip
    return value
