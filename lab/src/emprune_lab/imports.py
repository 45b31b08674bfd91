"""A user's own module, imported by the name that he gives on the command line."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from emprune.errors import ArgumentError, DataError

NAMED = "module:function or file.py:function"
"""How a function is named."""


def imported(option: str, where: str, name: str) -> Any:
    """Import a module, also one beside the working directory.

    Args:
        option: that names it, and ``name``, all that was given, for messages.
        where: "module", "package.module" or "folder/file.py".

    Raises:
        ArgumentError: there is no such file or module. DataError: it raises, whatever it is, when it is imported.
    """
    folder = Path.cwd()
    if where.endswith(".py"):
        path = Path(where).resolve()
        if not path.is_file():
            raise ArgumentError(option, name, f"{NAMED}; there is no file {where}")
        folder, where = path.parent, path.stem
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))  # the processes that train are started with the same
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{where}.".startswith(f"{error.name}."):
            allowed = f"{NAMED}; there is no module {error.name} in {folder} or among those installed"
            raise ArgumentError(option, name, allowed) from error
        raise DataError(f"{where} cannot be imported: {error}.") from error
    except Exception as error:  # whatever the user's module raises
        raise DataError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
