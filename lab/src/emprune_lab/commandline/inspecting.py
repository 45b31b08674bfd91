"""What ``emprune inspect`` does, once its options are read."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from emprune.checkpoint import atomic_write
from emprune_lab.commandline.options import check_least
from emprune_lab.inspection.functions import load_function, load_labels
from emprune_lab.inspection.gallery import gallery
from emprune_lab.inspection.scores import Scores, read_scores
from emprune_lab.inspection.summary import rows_of, summary
from emprune_lab.records.folders import prepare_folder

SUSPECTS_FILE, GALLERY_FILE, SUMMARY_FILE = "suspects.csv", "gallery.html", "summary.json"
_FILES = (SUSPECTS_FILE, GALLERY_FILE, SUMMARY_FILE)
_MOST_CLASSES = 12
"""In a terminal."""


def inspect(
    source: Path, out: Path, console: Console, *, labels: str | None, show: str | None, number: int, as_json: bool
) -> int:
    """Read, write the three files, print; the exit code."""
    check_least(1, number=number)
    scores = read_scores(source)
    given = None if labels is None else load_labels(labels, scores.id)
    numbers = summary(scores, given, number)
    page = gallery(
        scores, numbers, title=source.name, number=number, labels=given,
        show=None if show is None else load_function("show", show), shown_by=show or "show",
    )  # fmt: skip
    prepare_folder(out, files=_FILES)
    written = json.dumps(numbers, indent=1, ensure_ascii=False)
    texts = (_suspects(scores, given, number), page, written + "\n")
    for name, text in zip(_FILES, texts, strict=True):
        atomic_write(out / name, partial(Path.write_text, data=text, encoding="utf-8"))
    for table in _tables(numbers):
        console.print(table)
    if as_json:
        print(written)
    for name in _FILES:
        console.print(str(out / name), highlight=False, markup=False, soft_wrap=True)
    return 0


def _suspects(scores: Scores, labels: Sequence[str] | None, number: int) -> str:
    """As CSV: id, label where known, its probability and what is known of the sample; most probable first."""
    text = io.StringIO()
    averages = {} if scores.mean_loss is None else {"mean_loss": scores.mean_loss}
    columns = {"loss": scores.loss, **averages, "memory": scores.memory}
    writer = csv.writer(text, lineterminator="\n")
    known = [] if labels is None else ["label"]
    writer.writerow(["id", *known, "probability", *columns, "last_seen", "times_trained"])
    for row in rows_of(scores, number)["suspects"]:
        label = [] if labels is None else [labels[row]]
        probability = math.exp(-max(0.0, float(scores.suspicion[row])))
        numbers = [f"{float(column[row]):.4f}" for column in columns.values()]
        counts = int(scores.last_seen[row]), int(scores.times_trained[row])
        writer.writerow([int(scores.id[row]), *label, f"{probability:.3g}", *numbers, *counts])
    return text.getvalue()


def _tables(numbers: Mapping[str, Any]) -> list[Table]:
    counts = _table("samples", "never seen", "never trained", "quarantined", "not remembered", "surely wrong labels")
    names = ("samples", "never_seen", "never_trained", "quarantined", "not_remembered", "sure_errors")
    counts.add_row(*(str(numbers[name]) for name in names))
    quantiles = _table("quantile", "least", "10 %", "half", "90 %", "most")
    for name, values in numbers["quantiles"].items():
        if values:
            quantiles.add_row(name, *(f"{value:.3g}" for value in values.values()))
    tables = [counts, quantiles]
    if numbers["classes"]:
        classes = _table("label", "samples", "share", "share trained", "mean loss", "suspects")
        largest = sorted(numbers["classes"].items(), key=lambda item: -item[1]["samples"])
        for name, one in largest[:_MOST_CLASSES]:
            loss = "–" if one["mean_loss"] is None else f"{one['mean_loss']:.3g}"
            shares = (f"{one['share']:.1%}", f"{one['share_trained']:.1%}")
            classes.add_row(name, str(one["samples"]), *shares, loss, str(one["suspects"]))
        if len(largest) > _MOST_CLASSES:
            classes.add_row(f"{len(largest) - _MOST_CLASSES} smaller ones: in {SUMMARY_FILE}")
        tables.append(classes)
    lists = _table("first of", "ids")
    for name in ("suspects", "hardest", "most_trained", "least_trained"):
        lists.add_row(name.replace("_", " "), " ".join(map(str, numbers[name][:10])))
    return [*tables, lists]


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for position, heading in enumerate(headings):
        table.add_column(heading, justify="left" if position == 0 or heading == "ids" else "right")
    return table
