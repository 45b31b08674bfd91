"""Atomic writes: a file is written whole or not at all, and the one that it replaces may be kept beside it.

The new file is written in a folder ``.NAME.HOST.PID.COUNT.tmp`` beside the old one and takes its name by a rename,
when it is complete and on the disk. A kill at any point leaves ``NAME`` whole, old or new, and at worst such
a folder, which the next write on the same machine removes. With ``keep_previous`` the old one keeps its name until that
instant, and then becomes ``NAME.previous`` by a hard link made before. Where the file system has no hard links, it
is renamed first: a kill between two renames then leaves ``NAME.previous`` alone.

One process at a time writes a name; if several do, or several threads, or a signal's handler in the middle of a write,
one of them wins, whole.
"""

from __future__ import annotations

import errno
import itertools
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

_writes = itertools.count()


def atomic_write(path: str | os.PathLike[str], write: Callable[[Path], object], *, keep_previous: bool = False) -> None:
    """Have ``write`` make a file and put it in place of ``path``, whole or not at all.

        atomic_write("scores.json", lambda new: new.write_text(json.dumps(scores)))

    Args:
        path: in an existing folder.
        write: makes the file whose path it is given; that has the suffix of ``path``. What it returns is ignored.
        keep_previous: whether the file that is replaced becomes ``PATH.previous``.

    Raises:
        OSError: a file cannot be written or renamed; it names ``path``, which is whole, if it was there.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    folder = path.with_name(f"{_head(path)}{os.getpid()}.{next(_writes)}.tmp")
    _remove_left_over(path)
    folder.mkdir(exist_ok=True)
    try:
        new, old, plain = folder / f"new{path.suffix}", folder / "old", folder / "plain"
        write(new)
        with new.open("r+b") as file:
            os.fsync(file.fileno())
        plain.touch()
        new.chmod(plain.stat().st_mode)  # as a plain file here would have it; a library may make its own private
        old.unlink(missing_ok=True)
        if keep_previous:
            _replace_and_keep(new, path, old)
        else:
            new.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        # As write() and fsync() raise it: without a name.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def previous_of(path: Path) -> Path:
    """Where the file lies that ``path`` replaced."""
    return path.with_name(f"{path.name}.previous")


def _replace_and_keep(new: Path, path: Path, old: Path) -> None:
    previous = previous_of(path)
    if path.exists():
        try:
            os.link(path, old)
        except OSError:  # no hard links here
            path.replace(previous)
    new.replace(path)
    if old.exists():
        # Only now: until there is a whole new file, a damaged one must not take the place of its predecessor.
        old.replace(previous)


def _sync_folder(folder: Path) -> None:
    """Have the folder's entries on the disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems
            raise
    finally:
        os.close(handle)


def _head(path: Path) -> str:
    return f".{path.name}.{platform.node()}."


def _remove_left_over(path: Path) -> None:
    """Remove what killed processes of this machine were writing."""
    for folder in path.parent.glob("*.tmp"):
        pid = folder.name.removeprefix(_head(path)).partition(".")[0]
        if folder.name.startswith(_head(path)) and pid.isdigit() and not _is_running(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(pid: int) -> bool:
    if os.name != "posix":  # elsewhere signal 0 would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
