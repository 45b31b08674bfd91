"""The report: one self-contained page, the tables as Markdown and as JSON, and every figure as a file."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as files_of
from operator import methodcaller
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from emprune.checkpoint import atomic_write
from emprune.errors import ArgumentError, DataError
from emprune_lab.inspection.functions import Show
from emprune_lab.records.results import RESULT_FILE, Result
from emprune_lab.report import explore, figures
from emprune_lab.report.answer import answers
from emprune_lab.report.comparison import Comparison
from emprune_lab.report.costs import FULL, RANDOM
from emprune_lab.report.explorable import View, as_json
from emprune_lab.report.figure import Picture
from emprune_lab.report.overview import tables_markdown
from emprune_lab.report.palette import SOLID, looks, on_dark, outline
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
    reference: str = RANDOM, show: Show | None = None,
) -> ReportFiles:  # fmt: skip
    """Write table.md, summary.json, figures/*.png and report.html, which needs no other file.

    Args:
        folder: where to write; made if missing.
        results: finished runs, of one or several settings; each setting gets its own section.
        runs: folder that holds one folder a run, named by its run_id, for the per-sample arrays. What is
            missing there is said in the report and left out.
        data_dir: as for :func:`emprune_lab.data.load`.
        reference: label of the policy that differences are taken to.
        show: what a sample shows, by its position: an image or text, as for
            :func:`emprune_lab.inspection.pictures.seen`; None: as the laboratory's data sets do.

    Raises:
        ArgumentError: no results; policies ranked at one rate trained different numbers of samples; or no run of the
            reference.
        DataError: ``show`` raises, or gives what cannot be shown.
    """
    if not results:
        raise ArgumentError("results", list(results), "at least one finished run")
    rows, members = summarise(results, reference), by_setting(results)
    names, titles = anchors(list(members)), setting_titles(list(members))
    sections = [
        _section(
            Comparison.of(list(group), members[one], runs, data_dir, show), members[one], names[one], titles[one],
            room=1 / len(members),
        )
        for one, group in itertools.groupby(rows, key=lambda row: row.setting)
    ]  # fmt: skip
    drawn = {
        folder / FIGURES_FOLDER / f"{section['anchor']}-{picture.name}.png": picture.png
        for section in sections
        for picture in section["pictures"]
    }
    table, page = tables_markdown(results, reference), _html(sections, results, _unfinished(runs))
    values = json.dumps(summary(results, reference), indent=1, ensure_ascii=False) + "\n"
    files = ReportFiles(folder / TABLE_FILE, folder / SUMMARY_FILE, folder / REPORT_FILE, tuple(drawn))
    texts = {files.table: table, files.summary: values, files.report: page}
    for path, content in {**drawn, **{path: text.encode() for path, text in texts.items()}}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, methodcaller("write_bytes", content))
    return files


def _section(
    comparison: Comparison, results: Sequence[Result], anchor: str, title: str, *, room: float
) -> dict[str, Any]:
    """What the page shows of one setting; ``pictures`` are all of its figures, ``exhibits`` what the page shows."""
    pictures: dict[int, list[Picture]] = {}
    missing = []
    if lacking := [run.run_id for run in results if run.run_id not in comparison.counted]:
        named = ", ".join(lacking[:_MOST_NAMED]) + (" …" if len(lacking) > _MOST_NAMED else "")
        missing.append(
            f"samples.npz is missing or damaged for {len(lacking)} of the runs ({named}): figures of samples lack them."
        )
    drawn = figures.discover()
    for place, figure in enumerate(drawn):
        try:
            pictures[place] = figure.pictures(comparison)
        except DataError as error:
            missing.append(f"{figure.title}: {error}")
    views = [view for view in explore.discover() if view.applies(comparison)]
    replaced = {name for view in views for name in view.replaces}
    exhibits = [(view.order, _exhibit(view, comparison, anchor, room)) for view in views]
    exhibits += [
        (
            drawn[place].order,
            {"id": f"{anchor}-{picture.name}", "view": None, "picture": picture, "title": picture.title},
        )
        for place, several in pictures.items()
        for picture in several
        if drawn[place].name not in replaced
    ]
    return {
        "anchor": anchor,
        "title": title,
        "answers": answers(comparison.rows) if comparison.setting.own else [],
        "settings": settings_table(results),
        "tables": setting_tables(comparison.rows, title),
        "pictures": [picture for several in pictures.values() for picture in several],
        "exhibits": [exhibit for _, exhibit in sorted(exhibits, key=lambda one: one[0])],
        "looks": as_json(_looks([row.policy for row in comparison.rows])),
        "missing": missing,
    }


def _exhibit(view: View, comparison: Comparison, anchor: str, room: float) -> dict[str, Any]:
    return {
        "id": f"{anchor}-{view.name}", "view": view, "title": view.title, "data": as_json(view.data(comparison, room)),
    }  # fmt: skip


def _looks(policies: Sequence[str]) -> dict[str, Any]:
    """Policy → colours on white and in the dark, the outline of its marker, and whether its line is broken."""
    return {
        policy: {
            "colours": [look.colour, on_dark(look.colour)], "marker": outline(look.marker),
            "dashed": look.dashes != SOLID, "large": policy == FULL,
        }
        for policy, look in looks(policies).items()
    }  # fmt: skip


def _unfinished(runs: Path) -> int:
    """How many runs have begun beside those that are finished."""
    folders = [folder for folder in runs.iterdir() if folder.is_dir()] if runs.is_dir() else []
    return sum(not (folder / RESULT_FILE).is_file() for folder in folders)


def _html(sections: Sequence[Mapping[str, Any]], results: Sequence[Result], unfinished: int) -> str:
    environment = Environment(
        loader=PackageLoader("emprune_lab.report"), autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["data_uri"] = lambda png: "data:image/png;base64," + base64.b64encode(png).decode()
    return environment.get_template("report.html.j2").render(
        title=f"Dynamic data pruning on {' and '.join(dict.fromkeys(run.data for run in results))}",
        sections=sections,
        finished=len(results),
        unfinished=unfinished,
        library=(files_of("emprune_lab.report") / "vendor" / "echarts.min.js").read_text(),
        scripts=[f"views/{view.name}.js" for view in explore.discover()],
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
