"""What the commands do, once their options are read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from emprune.errors import ArgumentError, EmpruneError, did_you_mean
from emprune_lab.commandline.kinds import LabRuns, Runs
from emprune_lab.commandline.live import LiveView
from emprune_lab.commandline.options import Publication, Setting, check_least
from emprune_lab.commandline.stop import Stop
from emprune_lab.inspection.functions import Show
from emprune_lab.records.folders import prepare_folder
from emprune_lab.records.results import RESULT_FILE, RESULTS_FILE, Result, load_result, load_results, save_results
from emprune_lab.report.answer import own_answers
from emprune_lab.report.costs import RANDOM
from emprune_lab.report.page import FIGURES_FOLDER, REPORT_FILE, SUMMARY_FILE, TABLE_FILE, write_report
from emprune_lab.report.tables import rich_tables
from emprune_lab.runs import compare
from emprune_lab.runs.compare import RUNS_FOLDER, Comparison
from emprune_lab.runs.event import Event
from emprune_lab.runs.interrupted import Interrupted
from emprune_lab.specs.base import Spec
from emprune_lab.specs.spec import RunSpec

_MOST_NAMED = 3
_FILES = (RESULTS_FILE, SUMMARY_FILE, TABLE_FILE, REPORT_FILE)


def train(spec: RunSpec, setting: Setting, out: Path, console: Console, command: str) -> int:
    """Train one run; the exit code. Raises Interrupted where a signal stopped it, and what the run raises."""
    work, stop = compare.check([spec]), Stop()
    prepare_folder(out, [RUNS_FOLDER])
    _warn(LabRuns(setting).warnings([spec], []), console)
    with stop.on_signals(console.print), LiveView(console, work) as view:
        result = compare.train(spec, out / RUNS_FOLDER, view.show, stop, command=command, **setting.run_options)
        view.show(Event(spec, result=result))
    if result is None:
        raise Interrupted(spec.run_id)
    if setting.json:
        print(json.dumps(dataclasses.asdict(result)))
    console.print(
        f"{result.headline}, remembered {result.remembered or 0:.2%}, realised rate {result.realised_rate:.4f}: "
        f"{out / RUNS_FOLDER / result.run_id}", highlight=False, markup=False,
    )  # fmt: skip
    return 0


def report(
    runs: Sequence[Path], out: Path, publication: Publication, console: Console, *, as_json: bool, data_dir: str | None
) -> int:
    """Report on finished runs; the exit code."""
    results, folder = _finished(runs)
    prepare_folder(out, [FIGURES_FOLDER], _FILES)
    save_results(out / RESULTS_FILE, results)
    _publish(results, out, folder, publication, console, as_json=as_json, data_dir=data_dir, show=publication.shown())
    return 0


def carry_out(
    specs: Sequence[Spec],
    out: Path,
    runs: Runs,
    publication: Publication,
    console: Console,
    command: str,
    *,
    jobs: int | None = None,
    budget_minutes: float | None = None,
    as_json: bool = False,
    data_dir: str | None = None,
    show: Show | None = None,
) -> list[Result]:
    """Train what is not finished, and publish what is.

    Args:
        specs: of the kind that ``runs`` know.
        jobs: runs at the same time; None: as many as their kind says.
        budget_minutes: stop in time, which is no failure.
        as_json: print the results as JSON on standard output.
        data_dir: as for the report.
        show: what a sample shows in the report; None: as the publication says.

    Returns:
        What is finished.

    Raises:
        Interrupted: a signal stopped it.
        DataError: the folder holds another experiment.
        ArgumentError: the reference is not among the policies, a number is out of range, the folder cannot be written.
        EmpruneError: some runs failed; the others are finished and published.
    """
    policies = list(dict.fromkeys(spec.policy for spec in specs))
    if publication.reference not in (RANDOM, *policies):
        raise ArgumentError(
            "reference", publication.reference, f"one of the policies, {', '.join(policies)}",
            did_you_mean(publication.reference, policies),
        )  # fmt: skip
    check_least(1, jobs=jobs)
    show = show or publication.shown()
    stop, comparison = Stop(budget_minutes), Comparison(specs, out, runs.read)
    missing = comparison.missing
    jobs = min(jobs or runs.default_jobs, len(missing))
    work = runs.check(missing, jobs)
    prepare_folder(out, [RUNS_FOLDER, FIGURES_FOLDER], _FILES)
    _warn(runs.warnings(specs, comparison.results.values()), console)
    _say_how_many(len(specs), len(missing), jobs, runs.device, console)
    with stop.on_signals(console.print), LiveView(console, work) as view:
        comparison.run_missing(view.show, stop, jobs=jobs, trained_by=runs.trained_by(jobs, command))
    left = len(comparison.missing)
    if left and stop.asked:
        raise Interrupted(f"{len(specs) - left} of {len(specs)} runs are finished", runs.saved)
    results = list(comparison.results.values())
    if results:
        comparison.save()  # as they are read now
        if publication.reference not in {result.policy for result in results}:  # its first run is still to come
            publication = dataclasses.replace(publication, reference=RANDOM)
        _publish(results, out, out / RUNS_FOLDER, publication, console, as_json=as_json, data_dir=data_dir, show=show)
    if failed := comparison.failed:
        named = ", ".join([*failed][:_MOST_NAMED]) + (" …" if len(failed) > _MOST_NAMED else "")
        raise EmpruneError(f"{len(failed)} of {len(specs)} runs failed: {named}. The same command tries them again.")
    if left:
        console.print(f"{left} of {len(specs)} runs are left. Go on with:\n  {command}", highlight=False, markup=False)
    return results


def _say_how_many(runs: int, missing: int, jobs: int, device: str, console: Console) -> None:
    finished = f", {runs - missing} of them finished" if missing < runs else ""
    at_once = f", {jobs} at a time" if jobs > 1 else ""
    where = f", on {device}" if device else ""
    console.print(f"{runs} runs{finished}{at_once}{where}.", highlight=False, markup=False)


def _warn(warnings: Iterable[str], console: Console) -> None:
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def _finished(runs: Sequence[Path]) -> tuple[list[Result], Path]:
    """The results, and the folder in which their runs lie, if they are kept."""
    found = sorted({path.parent for folder in runs for path in folder.rglob(RESULT_FILE)})
    if len({folder.parent for folder in found}) > 1:
        raise ArgumentError("runs", ", ".join(map(str, runs)), "runs of one comparison, in one folder")
    if found:
        return [load_result(folder) for folder in found], found[0].parent
    whole = [folder for folder in runs if (folder / RESULTS_FILE).is_file()]
    if len(whole) != 1:
        below = sorted({str(path.parent) for folder in runs for path in folder.rglob(RESULTS_FILE)})
        raise ArgumentError(
            "runs", ", ".join(map(str, runs)) or None, f"folders in which finished runs lie, or one {RESULTS_FILE}",
            f"There is one in each of {', '.join(below)}: name one of them." if below else "",
        )  # fmt: skip
    return load_results(whole[0]), whole[0] / RUNS_FOLDER


def _publish(
    results: Sequence[Result],
    out: Path,
    runs: Path,
    publication: Publication,
    console: Console,
    *,
    as_json: bool,
    data_dir: str | None,
    show: Show | None,
) -> None:
    """Write table, figures and report; print the table, and the paths last."""
    reference = publication.reference
    tables = rich_tables(results, reference=reference)
    said = own_answers(results, reference)
    try:
        with console.status("Drawing figures …"):
            files = write_report(out, results, runs, data_dir=data_dir, reference=reference, show=show)
    finally:  # what was measured is shown, also where the disk has no room for it
        for table in tables:
            console.print(table)
        for sentence in said:
            console.print(sentence, style="bold", highlight=False, markup=False)
    if as_json:
        print(json.dumps([dataclasses.asdict(result) for result in results]))
    for path in (out / RESULTS_FILE, files.summary, files.table, files.report):
        console.print(str(path), highlight=False, markup=False, soft_wrap=True)
