"""Data sets by name: each file that reads one adds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from emprune.errors import ArgumentError

Content = TypeVar("Content")
Reader = Callable[[str | Path | None], Content]
"""From a folder, as ``--data-dir`` names it, to what its files hold; raises DataError where they are not the published
ones."""


class DataSet(NamedTuple):
    """How a data set is read, and the name of the preset that trains it unless another is asked for."""

    read: Reader[object]
    preset: str


class DataSets(dict[str, DataSet], Generic[Content]):
    """Data sets of one kind by name.

    >>> sets: DataSets[str] = DataSets()
    >>> @sets.add("nothing", preset="cpu")
    ... def read_nothing(data_dir):
    ...     return f"from {data_dir}"
    >>> sets.read("nothing", "here")
    'from here'
    """

    def add(self, name: str, *, preset: str) -> Callable[[Reader[Content]], Reader[Content]]:
        """Decorate the function that reads a data set.

        Raises:
            ArgumentError: another data set has the name.
        """

        def added(read: Reader[Content]) -> Reader[Content]:
            if name in self:
                raise ArgumentError("data set", name, f"another name than {', '.join(self)}")
            self[name] = DataSet(read, preset)
            return read

        return added

    def read(self, name: str, data_dir: str | Path | None) -> Content:
        """Read a data set. Raises ArgumentError where the name is unknown, and whatever its reader raises."""
        if name not in self:
            raise ArgumentError("data", name, f"one of {', '.join(self)}")
        return self[name].read(data_dir)  # type: ignore[return-value]
