"""The runs of a study that trains by itself: a JSON list in one file, a line a run, written whole after each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from emprune.checkpoint import atomic_write
from emprune_lab.records.provenance import device_name, git_commit, versions


def read_runs(path: Path) -> list[dict[str, Any]]:
    """The runs in a file; none where it is missing."""
    runs: list[dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else []
    return runs


def write_runs(path: Path, runs: Iterable[Mapping[str, Any]]) -> None:
    """Replace the file at once: a kill leaves the old one or the new one."""
    text = "[\n" + ",\n".join(map(json.dumps, runs)) + "\n]\n"
    atomic_write(path, partial(Path.write_text, data=text, encoding="utf-8"))


def origin() -> dict[str, str]:
    """Where and by what a run is made that is trained now: processor, torch and commit."""
    return {"device": device_name("cpu"), "torch": versions()["torch"], "commit": git_commit()}
