"""JSON files that grow: read once, written whole after every change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from emprune.atomic import atomic_write  # not from emprune.checkpoint, which imports torch


class Record:
    """A dictionary on disk; a kill leaves the last whole state."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def __getitem__(self, name: str) -> Any:
        return self.entries[name]

    def put(self, name: str, value: Any) -> None:
        self.entries[name] = value
        self.save()

    def save(self) -> None:
        text = json.dumps(self.entries, indent=1) + "\n"
        atomic_write(self.path, lambda new: new.write_text(text, "utf-8"))


def remove_leftovers(folder: Path) -> None:
    """What a kill in the middle of a write has left beside the whole file."""
    for path in folder.glob(".*.tmp"):
        shutil.rmtree(path, ignore_errors=True)
