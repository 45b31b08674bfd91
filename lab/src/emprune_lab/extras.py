"""Packages of the laboratory's extras, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from emprune.errors import DataError


def needed(module: str, extra: str) -> Any:
    """Import a module of a package that comes with ``emprune-lab[extra]``.

    Raises:
        DataError: it is missing; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            f"this task needs the package {module.partition('.')[0]} ({error}). "
            f"Install it with pip install './lab[{extra}]' in a clone."
        ) from error
