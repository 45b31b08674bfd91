"""Per-sample scores as a file, to be made once and used by every run that wants them."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from emprune.atomic import atomic_write
from emprune.errors import ArgumentError


def save_scores(path: str | Path, **columns: ArrayLike | torch.Tensor) -> Path:
    """Write named columns, one value a sample, to a .npz file; the old file stays until the new one is whole.

    Args:
        columns: numbers of shape [N]; floating point is stored as float32, integers as they are.

    Returns:
        The path.

    Raises:
        ArgumentError: another suffix, no column, or columns of other shapes or lengths.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ArgumentError("path", str(path), "a name that ends in .npz")
    arrays = {name: _as_column(name, values) for name, values in columns.items()}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise ArgumentError("columns", lengths, "one column or more, all of the same length")
    atomic_write(path, lambda new: np.savez_compressed(new, **arrays))  # type: ignore[arg-type]
    return path


def load_scores(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read the columns of a file written by :func:`save_scores`, or by :meth:`emprune.Pruner.export` as .npz.

    Nothing in the file is executed: pickled objects are refused.

    Returns:
        Name → numbers of shape [N].

    Raises:
        ArgumentError: there is no such file, or it holds something else.
    """
    try:
        arrays = _read(path)
    except FileNotFoundError as error:
        raise ArgumentError("scores", str(path), "an existing .npz file of scores") from error
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ArgumentError("scores", str(path), f"a whole .npz file of scores (this one: {error})") from error
    shapes = {name: getattr(array, "shape", "no array") for name, array in arrays.items()}
    if len(set(shapes.values())) != 1 or not all(_is_column(array) for array in arrays.values()):
        raise ArgumentError("scores", f"{path} with {shapes}", "columns of numbers, all of shape [N]")
    return arrays


def _read(path: str | Path) -> dict[str, NDArray[Any]]:
    content = io.BytesIO(Path(path).read_bytes())
    if not zipfile.is_zipfile(content):
        raise ValueError("no .npz archive, or not all of one")
    with np.load(content, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _as_column(name: str, values: ArrayLike | torch.Tensor) -> NDArray[Any]:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    array = np.asarray(values)
    if not _is_column(array):
        raise ArgumentError(name, f"{array.dtype} of shape {array.shape}", "numbers, one a sample, of shape [N]")
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _is_column(array: object) -> bool:
    return isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype.kind in "fiub"
