"""The study's folder: whose it is, and arrays that are made once."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emprune.checkpoint import atomic_write
from emprune.errors import DataError
from emprune_lab.records.provenance import device_name, git_commit, versions

Arrays = dict[str, NDArray[Any]]

STUDY_FILE = "study.json"


def claim(folder: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """Check that the folder's models have these settings, or make it a folder of such models.

    Args:
        identity: JSON values; equal for models that can lie side by side.

    Returns:
        Where its first models come from: git_commit, device, versions.

    Raises:
        DataError: the folder belongs to models with other settings, or its file is damaged.
    """
    path = folder / STUDY_FILE
    if not path.is_file():
        origin: dict[str, Any] = {"git_commit": git_commit(), "device": device_name("cpu"), "versions": versions()}
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(path, lambda new: new.write_text(json.dumps({"identity": identity, "origin": origin}, indent=1)))
        return origin
    try:
        stored = json.loads(path.read_text())
        found, origin = dict(stored["identity"]), dict(stored["origin"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); remove the folder to begin the study again.") from error
    if found != identity:
        raise DataError(
            f"{folder} holds models trained with {_difference(found, identity)}, and "
            f"{_difference(identity, found)} is asked for; choose another --out."
        )
    return origin


def kept(path: Path, make: Callable[[], Arrays], tell: Callable[[str], None]) -> Arrays:
    """The file's arrays; made and written first where there is no file.

    Args:
        tell: told the file's name once it is written.

    Raises:
        DataError: the file is damaged.
    """
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} is damaged ({error}); remove it, and it is made again.") from error
    arrays = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, lambda new: np.savez_compressed(new, **arrays))  # type: ignore[arg-type]
    tell(f"{path.parent.name}/{path.name}")
    return arrays


def _difference(these: dict[str, Any], those: dict[str, Any]) -> str:
    """What these settings say and those do not."""
    mine, other = ({**each, **each.get("setup", {}), "setup": None} for each in (these, those))
    return ", ".join(f"{name}={value!r}" for name, value in mine.items() if other.get(name, ...) != value)
