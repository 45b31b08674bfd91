"""One call of the script: its parts, their time, and the record of both."""

from __future__ import annotations

import argparse
import datetime
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerator import children, correctness, headline, needs, speed
from accelerator.children import call as in_a_child
from accelerator.files import Record, remove_leftovers
from accelerator.headline import Estimate
from accelerator.sizes import REHEARSAL, Sizes
from accelerator.speed import Choice
from emprune_lab.runs.compare import Comparison
from emprune_lab.specs.recipe import Mode

CALLS, CORRECTNESS, SPEED = "calls.json", "correctness.json", "speed.json"
_DATA_SECONDS = 60
_LAST_SECONDS = 4
"""Kept back to end processes and write the last lines."""


class Call:
    """What is asked for, what is here, and until when.

    Args:
        asked: the options. end: by time.monotonic. work: folder on this machine. command: repeats the call.
    """

    def __init__(self, asked: argparse.Namespace, end: float, work: Path, command: str) -> None:
        self.asked, self.end, self.work, self.command = asked, end - _LAST_SECONDS, work, command
        self.device: str = asked.device
        self.sizes = REHEARSAL if asked.rehearse else Sizes()
        asked.out.mkdir(parents=True, exist_ok=True)
        remove_leftovers(asked.out)
        self._calls, self._speed = Record(asked.out / CALLS), Record(asked.out / SPEED)
        self._name = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%S}"
        self._entry: dict[str, Any] = {"command": command, "rehearsal": asked.rehearse, "minutes": asked.minutes}
        self._lacking: dict[str, str] = {}
        self._machine: dict[str, Any] = {}

    def begin(self, installed: list[str]) -> bool:
        """Say what is here and what is not; whether anything can begin."""
        machine = in_a_child(needs.about, self.device, seconds=90)
        if machine.error is not None:
            children.start_by("spawn")
            machine = in_a_child(needs.about, self.device, seconds=90)
        if machine.error is not None:
            print(f"Nothing can begin: the device {self.device!r} does not answer.\n{machine.error}")
            return False
        data = in_a_child(needs.check_data, self.asked.data_dir, seconds=_DATA_SECONDS)
        self._lacking = needs.lacking(self.device, data.error and data.error.splitlines()[0])
        self._machine = machine.value
        self._note(
            machine=machine.value, wheels=installed, lacking=self._lacking, seconds_to_begin=round(machine.seconds, 1)
        )
        print(f"{machine.value['device']}, torch {machine.value['torch']}, {self._left():.0f} s")
        print("\n".join(f"without {what}: no {part}" for what, part in self._lacking.items()))
        return True

    def correctness(self) -> None:
        """The first part."""
        if "pytest" in self._lacking:
            return
        tests = correctness.REHEARSAL if self.asked.rehearse else correctness.TESTS
        seconds = min(self.asked.correctness_seconds, self._left())
        self._timed("correctness", lambda: correctness.check(self.asked.out / CORRECTNESS, tests, seconds))

    def speed(self) -> None:
        """The second part."""
        seconds = min(self.asked.speed_seconds, self._left())
        about = self._modes(), seconds, self._machine, tuple(self.asked.only)
        self._timed("speed", lambda: speed.measure(self._speed, self.device, self.sizes, *about))

    def headline(self) -> None:
        """The third part."""
        specs = headline.queue(self.sizes, self.asked.data_dir)
        chosen = {model: found for model in self.sizes.models if (found := self._chosen(model)) is not None}
        if "the headline" in self._lacking.values():
            return
        estimate = Estimate(chosen or {self.sizes.models[0]: headline.UNMEASURED}, self.sizes)
        self._note(choices={model: found._asdict() for model, found in chosen.items()})
        events: list[str] = []

        def tell(event: str) -> None:
            events.append(event)
            print(event.splitlines()[0], flush=True)
            self._note(runs=events)

        def work_off() -> list[str]:
            comparison = Comparison(specs, self.asked.out)
            failed = headline.work_off(comparison, estimate, self.work, self.device, self.command, self._left(), tell)
            self._note(left=headline.outlook(comparison.missing, estimate))
            return failed

        self._timed("headline", work_off)

    def summary(self) -> str:
        """The last lines."""
        rows = [f"{name}: {_short(entry)}" for name, entry in self._speed.entries.items()]
        done = {name: self._entry.get(name) for name in ("correctness", "choices")}
        left = len(self._entry.get("left", []))
        return "\n".join([*rows, *(f"{name}: {value}" for name, value in done.items()), f"{left} runs are left"])

    def _chosen(self, model: str) -> Choice | None:
        modes = (self.asked.mode,) if self.asked.mode else self._modes()
        found = speed.choice(self._speed, model, modes)
        if found is not None and self.asked.jobs:
            found = found._replace(jobs=self.asked.jobs)
        return found

    def _modes(self) -> tuple[Mode, ...]:
        """Those that this machine can execute; the plain one always, with which the others are compared."""
        cannot_compile = any(part.startswith("compiled modes") for part in self._lacking.values())
        allowed = (self.asked.mode, "plain") if self.asked.mode else self.sizes.modes
        return tuple(
            mode for mode in self.sizes.modes
            if mode in allowed and not (cannot_compile and mode.startswith("compile"))
        )  # fmt: skip

    def _timed(self, name: str, part: Callable[[], Any]) -> None:
        began = time.monotonic()
        try:
            found = part()
        except Exception:  # the parts behind it have their own worth
            found = {"error": traceback.format_exc()}
            print(found["error"])
        self._note(**{name: found, f"seconds_{name}": round(time.monotonic() - began, 1)})

    def _left(self) -> float:
        return self.end - time.monotonic()

    def _note(self, **more: Any) -> None:
        self._entry |= more
        self._calls.put(self._name, self._entry)


def _short(entry: dict[str, Any]) -> str:
    if "error" in entry:
        return str(entry["error"]).splitlines()[0]
    shown = ("images_per_second", "jobs", "plain_milliseconds", "extra_percent", "quartiles", "rows")
    return ", ".join(f"{name} {entry[name]}" for name in shown if name in entry)
