"""Saved state as one file: safetensors with a JSON header, and a digest of every byte of it.

The header's ``__metadata__`` holds ``kind`` ("emprune.state"), ``version``, ``state`` (all that is no tensor,
as JSON) and ``blake2b``: the digest of the whole file, header included, with zeros in the digest's own place.
A tensor costs its bytes; any reader of safetensors reads the file. Nothing in it is ever unpickled.

Tensors that are one and the same, as tied weights are, are written once and are one again when read: ``tied`` says
which name stands for which. A file that has any is of version 2, so that a reader that does not know of it refuses it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from emprune.errors import EmpruneError, StateError

KIND, VERSION, VERSION_TIED = "emprune.state", 1, 2

_MOST_HEADER = 100_000_000  # safetensors' own limit
_NO_DIGEST = "0" * 64
_DIGEST = re.compile(rb'"blake2b":"([0-9a-f]{64})"')  # quotes inside a JSON string are escaped: this one is ours


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` to a new file.

    Tensors go from their memory to the file, without a copy (those on a device come to the host first).

    Raises:
        StateError: a part is neither a tensor nor a JSON value (a NumPy scalar becomes one), or of a kind that
            safetensors does not hold.
        OSError: the file cannot be written.
        EmpruneError: the package safetensors is missing.
    """
    library = _safetensors()
    tensors, tied, values = _split(state)
    metadata = {"kind": KIND, "version": str(VERSION), "state": json.dumps(values), "blake2b": _NO_DIGEST}
    if tied:
        metadata |= {"version": str(VERSION_TIED), "tied": json.dumps(tied)}
    try:
        library.torch.save_file(tensors, path, metadata)
    except library.SafetensorError as error:
        raise OSError(str(error)) from error
    except (KeyError, ValueError, RuntimeError) as error:
        raise StateError(f"safetensors does not hold this state: {type(error).__name__}: {error}") from error
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, _blake2b).hexdigest()
        file.seek(0)
        header = file.read(8 + int.from_bytes(file.read(8), "little"))
        place = _DIGEST.search(header)
        if place is None:
            raise EmpruneError(f"safetensors {library.__version__} writes another header than emprune can complete.")
        file.seek(8 + place.start(1))
        file.write(digest.encode())


def read(file: BinaryIO, size: int, name: str) -> dict[str, Any]:
    """Read a state from ``file``, positioned at its beginning; the digest is compared before anything is used.

    Takes the file's size in memory twice while tensors are made, and never more than that, whatever lengths
    a damaged file claims.

    Args:
        file: what :func:`write` wrote.
        size: its length in bytes.
        name: for messages.

    Raises:
        StateError: it is foreign, cut short or changed, or of another version.
        EmpruneError: the package safetensors is missing.
    """
    library = _safetensors()
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= length <= min(size - 8, _MOST_HEADER):
        raise _foreign(name, f"{size} bytes, of which a header would take {length}")
    data = start + file.read(length)
    metadata = _metadata(data[8:], name)
    if metadata.get("version") not in (str(VERSION), str(VERSION_TIED)):
        raise StateError(
            f"{name} has version {metadata.get('version')!r}; this emprune reads versions {VERSION} and "
            f"{VERSION_TIED}. Update emprune, or load a state that this one saved."
        )
    header_end = len(data)
    file.seek(0)
    data = file.read(size)
    _check_digest(data, header_end, name)
    try:
        tensors, values = library.torch.load(data), json.loads(metadata["state"])
        tied = {alias: tensors[whole] for alias, whole in json.loads(metadata.get("tied", "{}")).items()}
        return {**values, **tensors, **tied}
    except (
        library.SafetensorError, AssertionError, AttributeError, KeyError, RuntimeError, TypeError, ValueError,
    ) as error:  # fmt: skip
        raise StateError(f"{name} is whole, but no state: {type(error).__name__}: {error}") from error


def read_bytes(data: bytes, name: str) -> dict[str, Any]:
    """Read a state that lies in memory; see :func:`read`."""
    return read(io.BytesIO(data), len(data), name)


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.torch
    except ImportError as error:
        raise EmpruneError(
            "state on disk needs the package safetensors, which is not installed: pip install safetensors"
        ) from error
    return safetensors


def _blake2b() -> Any:
    return hashlib.blake2b(digest_size=32)


def _split(state: Mapping[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, str], dict[str, Any]]:
    """Tensors, dense and on the host; which further names stand for one of them; and what JSON holds."""
    tensors: dict[str, torch.Tensor] = {}
    tied: dict[str, str] = {}
    values: dict[str, Any] = {}
    written: dict[object, str] = {}
    for name, value in state.items():
        if not isinstance(name, str) or name == "__metadata__":
            raise StateError(f"state has the key {name!r}; allowed: text other than '__metadata__'.")
        if not isinstance(value, torch.Tensor):
            values[name] = _json_value(name, value)
        elif (first := written.setdefault(_place(value), name)) != name:
            tied[name] = first
        else:
            tensors[name] = value.detach().cpu().contiguous()
    return _apart(tensors), tied, values


def _place(tensor: torch.Tensor) -> object:
    """What is equal for tensors that are one and the same: views of all the same numbers."""
    if tensor.layout is not torch.strided or not tensor.numel() or not tensor.data_ptr():
        return object()
    return (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride(), tensor.is_conj())


def _apart(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors, copied where they overlap one before them, since safetensors takes no memory twice."""
    taken: set[int] = set()
    for name, tensor in tensors.items():
        if tensor.layout is torch.strided and tensor.numel():
            storage = tensor.untyped_storage().data_ptr()
            tensors[name] = tensor.clone() if storage in taken else tensor
            taken.add(storage)
    return tensors


def _json_value(name: str, value: Any) -> Any:
    """The value as JSON gives it back, NumPy's scalars as Python's; raises for the rest (tuples, keys but text)."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _json_value(f"{name}.{key}", inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [_json_value(f"{name}[{position}]", inside) for position, inside in enumerate(value)]
    if value is not None and type(value) not in (bool, int, float, str):
        raise StateError(
            f"state has {name}, a {type(value).__name__}; allowed: tensors at the top, and below it None, bool, int, "
            "float, str, and lists and dicts with text keys of these."
        )
    return value


def _metadata(header: bytes, name: str) -> dict[str, Any]:
    try:
        metadata = json.loads(header)["__metadata__"]
        known = metadata["kind"] == KIND
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise _foreign(name, f"a header without emprune's entries ({type(error).__name__})") from error
    if not known or not isinstance(metadata, dict):
        raise _foreign(name, f"the kind {metadata['kind']!r}")
    return metadata


def _check_digest(data: bytes, header_end: int, name: str) -> None:
    places = list(_DIGEST.finditer(data, 8, header_end))
    if len(places) != 1:
        raise _foreign(name, f"{len(places)} digests in its header")
    at, end = places[0].span(1)
    found = _blake2b()
    for part in (memoryview(data)[:at], _NO_DIGEST.encode(), memoryview(data)[end:]):
        found.update(part)
    recorded = places[0][1].decode()
    if found.hexdigest() != recorded:
        raise StateError(
            f"{name} is damaged: its {len(data)} bytes have the digest {found.hexdigest()[:16]}…, but it was saved "
            f"with {recorded[:16]}…. It was cut short or changed; load the state before it, or start a new run."
        )


def _foreign(name: str, found: str) -> StateError:
    return StateError(
        f"{name} is no state that emprune saved, or its head is damaged: it has {found}; allowed: a file written by "
        "emprune.checkpoint.save or save_state. Load the state before it, or start a new run."
    )
