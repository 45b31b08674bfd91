"""What is told of a run while a comparison trains."""

from __future__ import annotations

from dataclasses import dataclass

from emprune_lab.records.results import Result
from emprune_lab.runs.progress import Progress
from emprune_lab.specs.base import Spec


@dataclass(frozen=True)
class Event:
    """Of one run: progress while it trains; at its end none.

    Attributes:
        result: at the end, unless the run was interrupted or failed.
        error: why it failed, for a person to read.
    """

    spec: Spec
    progress: Progress | None = None
    result: Result | None = None
    error: str | None = None
