"""The report: one self-contained page, the table as Markdown, and every figure as a file."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from emprune.errors import ArgumentError
from emprune.lab.reporting.overview import overview_markdown
from emprune.lab.reporting.sections import Section, anchor_for, build_section
from emprune.lab.reporting.statistics import by_setting, summarise
from emprune.lab.reporting.tables import to_markdown
from emprune.lab.results import Result, write_atomically

TABLE_FILE, REPORT_FILE, FIGURES_FOLDER = "table.md", "report.html", "figures"


@dataclass(frozen=True)
class ReportFiles:
    """Where the report lies: the Markdown table, the page, and the figures in the page's order."""

    table: Path
    report: Path
    figures: tuple[Path, ...]


def write_report(
    folder: Path, results: Sequence[Result], runs: Path, *, data_dir: str | Path | None = None
) -> ReportFiles:
    """Write table.md, figures/*.png and report.html, which needs no other file.

    Args:
        folder: where to write; made if missing.
        results: finished runs, of one or several settings; each setting gets its own section.
        runs: folder that holds one folder a run, named by its run_id, for the per-sample arrays. What is
            missing there is said in the report and left out.
        data_dir: as for :func:`emprune.lab.data.load`.

    Raises:
        ArgumentError: no results, or policies of one rate trained different numbers of samples.
    """
    if not results:
        raise ArgumentError("results", list(results), "at least one finished run")
    sections = _sections(results, runs, data_dir)
    paths = []
    for picture in (picture for section in sections for picture in section.pictures):
        paths.append(folder / FIGURES_FOLDER / f"{picture.name}.png")
        write_atomically(paths[-1], picture.png)
    write_atomically(folder / TABLE_FILE, _markdown(sections, results))
    write_atomically(folder / REPORT_FILE, _html(sections, results))
    return ReportFiles(folder / TABLE_FILE, folder / REPORT_FILE, tuple(paths))


def _sections(results: Sequence[Result], runs: Path, data_dir: str | Path | None) -> list[Section]:
    rows = {key: list(group) for key, group in itertools.groupby(summarise(results), key=lambda row: row.setting)}
    sections: list[Section] = []
    for setting, members in by_setting(results).items():
        anchor = anchor_for(members[0], [section.anchor for section in sections])
        sections.append(build_section(rows[setting], members, runs, anchor, data_dir))
    return sections


def _markdown(sections: Sequence[Section], results: Sequence[Result]) -> str:
    parts = [
        f"## {data}: overview\n\n{overview_markdown([run for run in results if run.data == data])}"
        for data in dict.fromkeys(run.data for run in results)
    ]
    return "\n".join([*parts, *(f"## {section.title}\n\n{to_markdown(section.table)}" for section in sections)])


def _html(sections: Sequence[Section], results: Sequence[Result]) -> str:
    environment = Environment(
        loader=PackageLoader("emprune.lab.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["data_uri"] = lambda png: "data:image/png;base64," + base64.b64encode(png).decode()
    environment.filters["nbsp"] = lambda text: text.replace(" %", "\u00a0%")  # keeps a number and its % together
    return environment.get_template("report.html.j2").render(
        title=f"Dynamic data pruning on {' and '.join(dict.fromkeys(run.data for run in results))}",
        sections=sections,
        origin=_origin(results),
        seeds=min(len({run.seed for run in members}) for members in by_setting(results).values()),
        noisy=any(run.label_noise for run in results),
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
