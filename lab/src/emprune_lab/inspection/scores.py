"""Scores: the score table of a pruner's state or export, whichever file it comes from."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.checkpoint import load_state
from emprune.errors import ArgumentError, DataError, EmpruneError
from emprune.inspection import suspicion

COLUMNS = {"id": np.int64, "loss": np.float32, "memory": np.float32, "last_seen": np.int32, "times_trained": np.int32}
"""Of an export, with the types that the library gives them."""
OPTIONAL = {"mean_loss": np.float32}
"""Likewise, of a pruner that remembers it."""
_EXPORTS = (".npz", ".csv", ".parquet")
_ALLOWED = (
    "a state (a file of emprune.checkpoint.save, torch.save or a trainer's checkpoint, or a folder that holds one), "
    "an export (.npz, .csv or .parquet), or the folder of a run of emprune compare"
)
_RANK = re.compile(r"(.+)\.rank-(\d+)-of-(\d+)")
_ZIP, _MOST_HEADER = b"PK", 1 << 24


@dataclass(frozen=True)
class Scores:
    """What a run has seen of samples, ids increasing; each array has shape [M].

    Attributes:
        id: int64, positions in the data set.
        loss, memory: float32, nats, as last seen; the loss is infinite where never seen, NaN where quarantined.
        last_seen: int32, epoch, -1 for never; of runs of emprune compare, which do not keep it, -1 everywhere.
        times_trained: int32, epochs.
        mean_loss: float32, nats, a running average of the losses, where the pruner remembered it.
    """

    id: NDArray[np.int64]
    loss: NDArray[np.float32]
    memory: NDArray[np.float32]
    last_seen: NDArray[np.int32]
    times_trained: NDArray[np.int32]
    mean_loss: NDArray[np.float32] | None = None

    @property
    def suspicion(self) -> NDArray[np.float32]:
        """float32, shape [M]: what says that a label is wrong: the running average of losses, or else the last."""
        return suspicion(self.loss, self.mean_loss)

    def __len__(self) -> int:
        return len(self.id)


def read_scores(path: Path) -> Scores:
    """Read a state or an export; of a partitioned table, all ranks' files.

    Args:
        path: a file; a folder in which one lies; or the name that ranks saved their parts under.

    Raises:
        ArgumentError: there is no such file. DataError: it is damaged, or neither a state nor an export.
    """
    parts = [_columns(file) for file in _files(path)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(columns["id"], kind="stable")
    if len(order) == 0 or (np.diff(columns["id"][order]) == 0).any() or columns["id"].min() < 0:
        raise DataError(f"{path} holds {len(order)} rows; allowed: at least one, each with an id of its own from 0 on.")
    return Scores(**{name: column[order] for name, column in columns.items()})


def _files(path: Path) -> list[Path]:
    """The file, or each rank's."""
    if path.is_file():
        return _with_ranks(path)
    folder, name = (path, "") if path.is_dir() else (path.parent, path.name)
    found = sorted(file for file in folder.glob("*") if file.is_file() and _is_candidate(file, name))
    runs = {match[1] if (match := _RANK.fullmatch(file.name)) else file.name for file in found}
    if len(runs) != 1:
        hint = f"There are {', '.join(sorted(runs))}: name one of them." if runs else ""
        raise ArgumentError("path", str(path), _ALLOWED, hint)
    return _with_ranks(found[0])


def _is_candidate(file: Path, name: str) -> bool:
    if file.suffix == ".previous":
        return False
    match = _RANK.fullmatch(file.name)
    if name:
        return bool(match and match[1] == name)
    if file.suffix in _EXPORTS or match:
        return True
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        header = opened.read(min(length, _MOST_HEADER))
    return b'"kind":"emprune' in header or file.name == "checkpoint.pt"


def _with_ranks(path: Path) -> list[Path]:
    """The file; of one rank's, those of all ranks."""
    match = _RANK.fullmatch(path.name)
    if not match:
        return [path]
    files = [path.with_name(f"{match[1]}.rank-{rank}-of-{match[3]}") for rank in range(int(match[3]))]
    if missing := [file.name for file in files if not file.is_file()]:
        raise DataError(f"{path} is one of {match[3]} ranks' files, of which {', '.join(missing)} is missing.")
    return files


def _columns(path: Path) -> dict[str, NDArray[Any]]:
    readers = {".npz": _npz, ".csv": _csv, ".parquet": _parquet}
    if path.suffix not in readers:
        return _of_state(_state(path), path)
    try:
        found = readers[path.suffix](path)
    except EmpruneError:
        raise
    except Exception as error:  # whatever a reader makes of bytes that are no such file
        raise DataError(f"{path} is damaged, or no {path.suffix} file: {type(error).__name__}: {error}") from error
    return _checked(found, path)


def _checked(found: Mapping[str, NDArray[Any]], path: Path) -> dict[str, NDArray[Any]]:
    if missing := [name for name in COLUMNS if name not in found]:
        raise DataError(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(map(str, found)) or 'none'}. Allowed: what "
            "Pruner.export wrote."
        )
    types = {name: dtype for name, dtype in (COLUMNS | OPTIONAL).items() if name in found}
    shapes = {found[name].shape for name in types}
    if len(shapes) != 1 or len(shapes.pop()) != 1:
        raise DataError(f"the columns of {path} have not all one length; allowed: what Pruner.export wrote.")
    try:
        return {name: found[name].astype(dtype, casting="unsafe") for name, dtype in types.items()}
    except (TypeError, ValueError) as error:
        raise DataError(f"a column of {path} holds something else than numbers: {error}") from error


def _npz(path: Path) -> Mapping[str, NDArray[Any]]:
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    if found.keys() >= {"loss", "entropy", "times_trained"}:  # samples.npz of emprune compare
        rows = np.arange(len(found["loss"]))
        return {"id": rows, "memory": found["entropy"], "last_seen": np.full(len(rows), -1), **found}
    return found


def _csv(path: Path) -> Mapping[str, NDArray[Any]]:
    with path.open(encoding="utf-8") as file:
        header = [name.strip() for name in file.readline().split(",")]
        if missing := [name for name in COLUMNS if name not in header]:
            return _checked(dict.fromkeys(filter(None, header), np.empty(0)), path) if missing else {}
        values = np.loadtxt(file, delimiter=",", ndmin=2)
    if values.shape[1:] != (len(header),):
        raise DataError(f"{path} has {len(header)} headings, but {values.shape[1]} columns.")
    return dict(zip(header, values.T, strict=True))


def _parquet(path: Path) -> Mapping[str, NDArray[Any]]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(f"{path} needs pyarrow. pip install pyarrow, or export to .npz or .csv.") from error
    table = pyarrow.parquet.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}


def _state(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            head = file.read(2)
        if head != _ZIP:
            return load_state(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except EmpruneError as error:
        raise DataError(
            f"{error} Also allowed: what torch.save wrote, or an export (.npz, .csv or .parquet)."
        ) from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    except Exception as error:  # torch raises what it comes across
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} is damaged, or holds more than tensors and plain values: {said}") from error
    if not isinstance(loaded, Mapping):
        raise DataError(f"{path} holds a {type(loaded).__name__}; allowed: a dict in which a pruner's state is.")
    return loaded


def _of_state(loaded: Mapping[str, Any], path: Path) -> dict[str, NDArray[Any]]:
    states = list(_pruners(loaded))
    if len(states) != 1:
        raise DataError(
            f"{path} holds {len(states)} states of a pruner; allowed: one, as Pruner.state_dict() gives it."
        )
    state, found = states[0], {}
    for name in list(COLUMNS)[1:]:
        column = state.get(f"table.{name}")
        if not isinstance(column, torch.Tensor):
            raise DataError(f"the pruner's state in {path} has no column table.{name}; it is incomplete.")
        found[name] = column.numpy()
    if "table.mean.loss" in state:
        found["mean_loss"] = state["table.mean.loss"].numpy()
    rows = state.get("rows", [0, len(found["loss"])])
    if not _is_range(rows, len(found["loss"])):
        raise DataError(f"the rows of the pruner's state in {path} are {rows!r}, but it holds {len(found['loss'])}.")
    return _checked({"id": np.arange(*rows, dtype=np.int64), **found}, path)


def _is_range(rows: object, length: int) -> bool:
    is_pair = isinstance(rows, Sequence) and len(rows) == 2 and all(type(row) is int for row in rows)
    return is_pair and rows[1] - rows[0] == length  # type: ignore[index]


def _pruners(loaded: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every pruner's state in a checkpoint, however deep."""
    if "schema_version" in loaded and "counters" in loaded:
        yield loaded
        return
    for value in loaded.values():
        if isinstance(value, Mapping):
            yield from _pruners(value)
