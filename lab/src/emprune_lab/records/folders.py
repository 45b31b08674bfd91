"""Folders that will be written into, checked before hours of training depend on them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from emprune.errors import ArgumentError

_PROBE = bytes(4096)


def prepare_folder(out: Path, folders: Iterable[str] = (), files: Iterable[str] = ()) -> None:
    """Make a folder and those below it, and make sure that they can be written.

    Args:
        out: as named with ``--out``.
        folders: names of folders in it.
        files: names of files that will be written there.

    Raises:
        ArgumentError: one cannot be made or written, or a folder is where a file should be.
    """
    try:
        for folder in (out, *(out / name for name in folders)):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe-") as probe:
                probe.write(_PROBE)
                probe.flush()
                os.fsync(probe.fileno())
        taken = [name for name in files if (out / name).is_dir()]
    except OSError as error:
        reason = f"{error.strerror}: {error.filename or out}."
        raise ArgumentError("out", str(out), "a folder that can be made and written", reason) from error
    if taken:
        raise ArgumentError("out", str(out), f"a folder in which {taken[0]} is no folder")
