"""The report: one self-contained page, the tables as Markdown, and every figure as a file."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from emprune.checkpoint import atomic_write
from emprune.errors import ArgumentError
from emprune_lab.records.results import Result
from emprune_lab.reporting.costs import RANDOM
from emprune_lab.reporting.estimate import Interval
from emprune_lab.reporting.intervals import COVERAGE, NAMES, SCOPE, seeds_in_words
from emprune_lab.reporting.overview import tables_markdown
from emprune_lab.reporting.sections import Section, build_section
from emprune_lab.reporting.settings import anchors, by_setting, setting_titles
from emprune_lab.reporting.statistics import Row, summarise

TABLE_FILE, REPORT_FILE, FIGURES_FOLDER = "table.md", "report.html", "figures"


@dataclass(frozen=True)
class ReportFiles:
    """Where the report lies: the Markdown tables, the page, and the figures in the page's order."""

    table: Path
    report: Path
    figures: tuple[Path, ...]


def write_report(
    folder: Path, results: Sequence[Result], runs: Path, *, data_dir: str | Path | None = None,
    reference: str = RANDOM, interval: Interval = "student",
) -> ReportFiles:  # fmt: skip
    """Write table.md, figures/*.png and report.html, which needs no other file.

    Args:
        folder: where to write; made if missing.
        results: finished runs, of one or several settings; each setting gets its own section.
        runs: folder that holds one folder a run, named by its run_id, for the per-sample arrays. What is
            missing there is said in the report and left out.
        data_dir: as for :func:`emprune_lab.data.load`.
        reference: label of the policy that differences are taken to.
        interval: of means and differences over seeds, "student" or "bootstrap".

    Raises:
        ArgumentError: no results; policies ranked at one rate trained different numbers of samples; no run of the
            reference; or the interval is unknown.
    """
    if not results:
        raise ArgumentError("results", list(results), "at least one finished run")
    rows = summarise(results, reference, interval)
    sections = _sections(rows, results, runs, data_dir)
    paths = []
    (folder / FIGURES_FOLDER).mkdir(parents=True, exist_ok=True)
    for picture in (picture for section in sections for picture in section.pictures):
        paths.append(folder / FIGURES_FOLDER / f"{picture.name}.png")
        atomic_write(paths[-1], lambda new, picture=picture: new.write_bytes(picture.png))  # type: ignore[misc]
    table, page = tables_markdown(results, reference, interval), _html(sections, results, rows)
    atomic_write(folder / TABLE_FILE, lambda new: new.write_text(table, "utf-8"))
    atomic_write(folder / REPORT_FILE, lambda new: new.write_text(page, "utf-8"))
    return ReportFiles(folder / TABLE_FILE, folder / REPORT_FILE, tuple(paths))


def _sections(
    rows: Sequence[Row], results: Sequence[Result], runs: Path, data_dir: str | Path | None
) -> list[Section]:  # fmt: skip
    of_setting = {key: list(group) for key, group in itertools.groupby(rows, key=lambda row: row.setting)}
    members, settings = by_setting(results), list(of_setting)
    names, titles = anchors(settings), setting_titles(settings)
    return [
        build_section(of_setting[one], members[one], runs, names[one], titles[one], data_dir) for one in settings
    ]  # fmt: skip


def _html(sections: Sequence[Section], results: Sequence[Result], rows: Sequence[Row]) -> str:
    environment = Environment(
        loader=PackageLoader("emprune_lab.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["data_uri"] = lambda png: "data:image/png;base64," + base64.b64encode(png).decode()
    environment.filters["nbsp"] = lambda text: text.replace(" %", "\u00a0%")  # keeps a number and its % together
    counts = [len(row.seeds) for row in rows]
    interval = rows[0].accuracy.interval
    wordings = list({row.setting.wording.kind: row.setting.wording for row in rows}.values())
    return environment.get_template("report.html.j2").render(
        title=f"Dynamic data pruning on {' and '.join(dict.fromkeys(run.data for run in results))}",
        sections=sections,
        origin=_origin(results),
        reference=rows[0].reference,
        measures=" / ".join(dict.fromkeys(row.metric.words for row in rows)),
        units=" / ".join(dict.fromkeys(row.metric.difference_unit for row in rows)),
        seeds=seeds_in_words(counts),
        fewest=min(counts),
        most=max(counts),
        interval=NAMES[interval],
        gap_interval=NAMES["bootstrap"],
        coverage=[COVERAGE[interval], *([COVERAGE["bootstrap"]] if interval != "bootstrap" else [])],
        scope=SCOPE,
        noisy=any(run.label_noise for run in results),
        remembered=list(dict.fromkeys(one.remembered for one in wordings)),
        paper=[one.paper for one in wordings if one.paper],
    )


def _origin(results: Sequence[Result]) -> dict[str, list[str]]:
    """Where the runs come from; one line each if they differ."""
    versions = [", ".join(f"{name} {version}" for name, version in run.versions.items()) for run in results]
    origin = {
        "Machine": [run.device for run in results],
        "Commit": [run.git_commit for run in results],
        "Versions": versions,
        "Command": [run.command for run in results if run.command],
    }
    return {name: list(dict.fromkeys(values)) for name, values in origin.items() if values}
