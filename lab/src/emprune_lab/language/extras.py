"""Packages of the extra ``emprune-lab[language]``, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from emprune.errors import DataError


def needed(package: str) -> Any:
    """Import a package of the extra.

    Raises:
        DataError: it is missing; the message says what to install.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise DataError(
            f"language models need the package {package} ({error}). "
            "Install it with pip install 'emprune-lab[language]'."
        ) from error
