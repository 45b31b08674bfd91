"""What a user says of his data: labels, and a function from an id to what the sample shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emprune.errors import ArgumentError, DataError, did_you_mean
from emprune_lab.imports import NAMED, imported

Show = Callable[[int], Any]
"""From an id to an image (of PIL, an array or tensor, the path of a file) or text."""


def load_function(option: str, name: str) -> Callable[..., Any]:
    """Import a function, from modules beside the working directory too.

    Args:
        option: that names it, for messages.
        name: "module:function", or "folder/file.py:function".

    Raises:
        ArgumentError: it is no such name, or there is no such function. DataError: the module cannot be imported.
    """
    where, _, attribute = name.rpartition(":")
    if not where or not attribute:
        raise ArgumentError(option, name, NAMED)
    module = imported(option, where, name)
    found = getattr(module, attribute, None)
    if not callable(found):
        known = [one for one, value in vars(module).items() if callable(value)]
        raise ArgumentError(option, name, f"a function of {where}", did_you_mean(attribute, known))
    return found  # type: ignore[no-any-return]


def load_labels(name: str, ids: NDArray[np.int64]) -> list[str]:
    """The labels of these ids, as text.

    Args:
        name: a .npy file of shape [N]; a text file with a label a line, in the order of ids from 0 on; or a function,
            "module:function", without arguments, whose result holds N labels.
        ids: int64, shape [M].

    Raises:
        ArgumentError: there is no such file or function. DataError: it cannot be read, the function raises, or there
            are fewer labels than ids.
    """
    path = Path(name)
    if path.is_file():
        labels = _labels_in(path)
    elif ":" in name:
        labels = called(load_function("labels", name), name)
    else:
        raise ArgumentError("labels", name, f"a file that is there, or {NAMED}")
    if hasattr(labels, "tolist"):
        labels = labels.tolist()
    try:
        labels = list(labels)
    except TypeError as error:
        raise DataError(f"{name} gives a {type(labels).__name__}; allowed: a label for each id, from 0 on.") from error
    if len(labels) <= ids.max():
        raise DataError(f"{name} has {len(labels)} labels; allowed: one for each id up to {ids.max()}.")
    return [str(labels[at]) for at in ids]


def _labels_in(path: Path) -> Any:
    try:
        if path.suffix == ".npy":
            labels = np.load(path, allow_pickle=False)
            if labels.ndim != 1:
                raise DataError(f"{path} has the shape {labels.shape}; allowed: [N], one label a sample.")
            return labels
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path} holds no labels: {error}. Allowed: a .npy file, or text with a label a line."
        ) from error


def called(function: Callable[..., Any], name: str, *arguments: Any) -> Any:
    """What a user's function returns. Raises DataError, in a sentence, where it raises anything."""
    try:
        return function(*arguments)
    except Exception as error:  # whatever the user's function raises
        given = ", ".join(map(str, arguments))
        raise DataError(f"{name}({given}) raised {type(error).__name__}: {error}") from error
