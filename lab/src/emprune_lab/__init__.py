"""The laboratory: trains policies on equal samples and says what they bought. It uses public names of emprune only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emprune_lab.comparing import Compared, compare

__version__ = "0.3.0"
__all__ = ["Compared", "compare"]


def __getattr__(name: str) -> Any:
    """Import the public names, and torch with them, when one is asked for: the command's help does without."""
    if name in __all__:
        from emprune_lab import comparing

        return getattr(comparing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
