"""emprune: dynamic data pruning for PyTorch. Train on the part of the data that pays, at an exact rate."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emprune.public import *  # noqa: F403

__version__ = "0.3.0"


def __getattr__(name: str) -> Any:
    """Import the public names, and torch with them, when the first is asked for: a command's help does without."""
    if not name.startswith("_") or name == "__all__":
        public = importlib.import_module("emprune.public")
        # While that is being imported, it asks for submodules; the import system finds them.
        if hasattr(public, "__all__"):
            globals().update({one: getattr(public, one) for one in public.__all__}, __all__=public.__all__)
        if name in globals():
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
