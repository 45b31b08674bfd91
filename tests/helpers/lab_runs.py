"""What tests of whole lab runs share: stopping them between steps, and comparing their results."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from emprune_lab.records.results import Result


def stop_after(steps: int) -> Callable[[], bool]:
    """A ``should_stop`` that says so when it is asked after so many steps."""
    asked = iter(range(10**6))
    return lambda: next(asked) >= steps


def without_times(result: Result) -> dict[str, Any]:
    """All of a result that must repeat."""
    entry = dataclasses.asdict(result)
    del entry["seconds"]
    for epoch in entry["history"]:
        del epoch["seconds"]
    return entry
