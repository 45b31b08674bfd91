"""Finding the files of a published data set, and reading them only if they are the published ones."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from emprune.errors import DataError


def find_folder(data_dir: str | Path | None, name: str, default: Path | None = None) -> Path:
    """The folder of a data set: ``data_dir``, else EMPRUNE_DATA where it has a part called ``name``, else the default.

    Args:
        data_dir: the folder itself or its parent; None or "": see above.
        name: the folder's published name.
        default: where it lies on a machine that installs it; None: in the working directory.
    """
    given = data_dir or os.environ.get("EMPRUNE_DATA") or default
    if given is None:
        return Path(name)
    folder = Path(given).expanduser()
    if (folder / name).is_dir():
        return folder / name
    # One EMPRUNE_DATA serves several data sets, not all of which must lie there.
    return default if default is not None and not data_dir and folder.name != name else folder


def read_file(path: Path, where: str) -> bytes:
    """The file's content.

    Raises:
        DataError: it is missing or cannot be read; ``where``, a sentence, says how to get it.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing. {where}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}). {where}") from error


def check_md5(content: bytes, md5: str, path: Path) -> None:
    """Raise DataError, with both sums, unless the content of ``path`` has the published ``md5``."""
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(f"the content of {path} has md5 {found}; that of the published file is {md5}. Get it again.")
