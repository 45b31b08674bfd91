"""From specs to a published comparison: work off what is missing, keep results.json whole, write the report."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from emprune.errors import ArgumentError
from emprune_lab.commandline.console import LiveView
from emprune_lab.commandline.options import Setting
from emprune_lab.commandline.stopping import Stop
from emprune_lab.records.results import RESULTS_FILE, Result
from emprune_lab.report.costs import RANDOM
from emprune_lab.report.page import write_report
from emprune_lab.report.tables import rich_tables
from emprune_lab.runs import compare
from emprune_lab.runs.growing import GrowingResults
from emprune_lab.runs.runner import Interrupted
from emprune_lab.specs.spec import RunSpec


@dataclass(frozen=True)
class Publication:
    """How a comparison is put into tables and figures."""

    reference: str = "random"
    """Policy that all others are compared with, paired by seed."""
    interval: Literal["student", "bootstrap"] = "student"
    """95 % intervals over seeds: Student's t, or the percentile bootstrap, which is too narrow for few seeds."""


def carry_out(
    specs: Sequence[RunSpec],
    out: Path,
    setting: Setting,
    publication: Publication,
    console: Console,
    command: str,
    *,
    jobs: int | None = None,
    budget_minutes: float | None = None,
) -> int:
    """Run what is not finished, and publish what is.

    Args:
        jobs: runs at the same time; None: one for each core, or one on a device.
        budget_minutes: stop in time, which is no failure.

    Returns:
        The exit code.

    Raises:
        Interrupted: a signal stopped it.
        DataError: the folder holds another experiment.
        ArgumentError: the reference is not among the policies.
    """
    policies = list(dict.fromkeys(spec.policy for spec in specs))
    if publication.reference not in (RANDOM, *policies):
        raise ArgumentError("reference", publication.reference, f"one of the policies, {', '.join(policies)}")
    growing = GrowingResults(out, specs)
    missing, stop = growing.missing(specs), Stop(budget_minutes)
    jobs = jobs or (os.cpu_count() or 1 if setting.device == "cpu" else 1)
    try:
        if missing:
            work_off(missing, out, setting, stop, console, command, jobs=min(jobs, len(missing)), on_result=growing.add)
    except Interrupted:
        if not stop.out_of_time:
            raise
    left = len(growing.missing(specs))
    if growing.all():
        publish(
            growing.all(), out, out / compare.RUNS_FOLDER, publication, console,
            as_json=setting.json, data_dir=setting.data_dir,
        )  # fmt: skip
    if left:
        console.print(f"{left} of {len(specs)} runs are left. Go on with:\n  {command}", highlight=False)
    return 0


def work_off(
    specs: Sequence[RunSpec],
    out: Path,
    setting: Setting,
    stop: Stop,
    console: Console,
    command: str,
    *,
    jobs: int = 1,
    on_result: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Run specs with a live view; ``on_result`` is called as each one finishes. Raises Interrupted when stopped."""
    compare.check(specs)
    with stop.on_signals(console.print), LiveView(console, len(specs)) as view:

        def on_event(event: compare.Event) -> None:
            if event.result is not None:
                on_result(event.result)
            view.show(event)

        return compare.work_off(
            specs, out, on_event, stop, jobs=jobs, threads=setting.threads, device=setting.device,
            mode=setting.mode, command=command,
        )  # fmt: skip


def publish(
    results: Sequence[Result],
    out: Path,
    runs: Path,
    publication: Publication,
    console: Console,
    *,
    as_json: bool,
    data_dir: str | None,
) -> None:
    """Write table, figures and report; print the table, and the paths last."""
    # Where time ran out before the reference's first run, what there is is published all the same.
    has_reference = any(result.policy == publication.reference for result in results)
    reference, interval = publication.reference if has_reference else RANDOM, publication.interval
    files = write_report(out, results, runs, data_dir=data_dir, reference=reference, interval=interval)
    for table in rich_tables(results, reference=reference, interval=interval):
        console.print(table)
    if as_json:
        print(json.dumps([dataclasses.asdict(result) for result in results]))
    for path in (out / RESULTS_FILE, files.table, files.report):
        console.print(str(path), highlight=False, soft_wrap=True)
