"""The report: one self-contained page, the tables as Markdown and as JSON, and every figure as a file."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from emprune.checkpoint import atomic_write
from emprune.errors import ArgumentError, DataError
from emprune_lab.records.results import Result
from emprune_lab.report import figures
from emprune_lab.report.answer import answers
from emprune_lab.report.comparison import Comparison
from emprune_lab.report.costs import RANDOM
from emprune_lab.report.overview import tables_markdown
from emprune_lab.report.settings import anchors, by_setting, setting_titles, settings_table
from emprune_lab.report.statistics import summarise
from emprune_lab.report.summary import summary
from emprune_lab.report.tables import notes_of, setting_tables
from emprune_lab.specs.own import is_own

TABLE_FILE, SUMMARY_FILE, REPORT_FILE, FIGURES_FOLDER = "table.md", "summary.json", "report.html", "figures"
_MOST_NAMED = 3


@dataclass(frozen=True)
class ReportFiles:
    """Where the report lies: the statistics as Markdown tables and as JSON, the page, and the figures in its order."""

    table: Path
    summary: Path
    report: Path
    figures: tuple[Path, ...]


def write_report(
    folder: Path, results: Sequence[Result], runs: Path, *, data_dir: str | Path | None = None,
    reference: str = RANDOM,
) -> ReportFiles:  # fmt: skip
    """Write table.md, summary.json, figures/*.png and report.html, which needs no other file.

    Args:
        folder: where to write; made if missing.
        results: finished runs, of one or several settings; each setting gets its own section.
        runs: folder that holds one folder a run, named by its run_id, for the per-sample arrays. What is
            missing there is said in the report and left out.
        data_dir: as for :func:`emprune_lab.data.load`.
        reference: label of the policy that differences are taken to.

    Raises:
        ArgumentError: no results; policies ranked at one rate trained different numbers of samples; or no run of the
            reference.
    """
    if not results:
        raise ArgumentError("results", list(results), "at least one finished run")
    rows, members = summarise(results, reference), by_setting(results)
    names, titles = anchors(list(members)), setting_titles(list(members))
    sections = [
        _section(Comparison.of(list(group), members[one], runs, data_dir), members[one], names[one], titles[one])
        for one, group in itertools.groupby(rows, key=lambda row: row.setting)
    ]
    drawn = {
        folder / FIGURES_FOLDER / f"{section['anchor']}-{picture.name}.png": picture.png
        for section in sections
        for picture in section["pictures"]
    }
    table, page = tables_markdown(results, reference), _html(sections, results)
    values = json.dumps(summary(results, reference), indent=1, ensure_ascii=False) + "\n"
    files = ReportFiles(folder / TABLE_FILE, folder / SUMMARY_FILE, folder / REPORT_FILE, tuple(drawn))
    texts = {files.table: table, files.summary: values, files.report: page}
    for path, content in {**drawn, **{path: text.encode() for path, text in texts.items()}}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, methodcaller("write_bytes", content))
    return files


def _section(comparison: Comparison, results: Sequence[Result], anchor: str, title: str) -> dict[str, Any]:
    """What the page shows of one setting."""
    pictures, missing = [], []
    if lacking := [run.run_id for run in results if run.run_id not in comparison.counted]:
        named = ", ".join(lacking[:_MOST_NAMED]) + (" …" if len(lacking) > _MOST_NAMED else "")
        missing.append(
            f"samples.npz is missing or damaged for {len(lacking)} of the runs ({named}): figures of samples lack them."
        )
    for figure in figures.discover():
        try:
            pictures += figure.pictures(comparison)
        except DataError as error:
            missing.append(f"{figure.title}: {error}")
    return {
        "anchor": anchor,
        "title": title,
        "answers": answers(comparison.rows) if comparison.setting.own else [],
        "settings": settings_table(results),
        "tables": setting_tables(comparison.rows, title),
        "pictures": pictures,
        "missing": missing,
    }


def _html(sections: Sequence[Mapping[str, Any]], results: Sequence[Result]) -> str:
    environment = Environment(
        loader=PackageLoader("emprune_lab.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["data_uri"] = lambda png: "data:image/png;base64," + base64.b64encode(png).decode()
    return environment.get_template("report.html.j2").render(
        title=f"Dynamic data pruning on {' and '.join(dict.fromkeys(run.data for run in results))}",
        sections=sections,
        own=any(is_own(run.recipe) for run in results),
        origin=_origin(results),
        notes=notes_of([table for section in sections for table in section["tables"]]),
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
