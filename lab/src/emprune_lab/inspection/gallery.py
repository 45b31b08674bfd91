"""The gallery: a page that works without a network, with the suspects and other samples worth a look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from emprune_lab.inspection.functions import Show, called
from emprune_lab.inspection.pictures import Picture, picture
from emprune_lab.inspection.scores import Scores
from emprune_lab.inspection.summary import rows_of

_SECTIONS = {
    "suspects": ("Suspected label errors", "The highest loss first: what the network would not have said."),
    "hardest": ("Hardest", "EMP's score L + 20·M, the highest first: ambiguous samples."),
    "most_trained": ("Trained most", "Of equal counts, the higher loss first."),
    "least_trained": ("Trained least", "Of equal counts, the lower loss first."),
}
_MOST_CLASSES = 30
_OTHERS = 24
"""Samples of a section other than the first."""


def gallery(
    scores: Scores, numbers: Mapping[str, Any], *, title: str, number: int, labels: Sequence[str] | None = None,
    show: Show | None = None, shown_by: str = "show",
) -> str:  # fmt: skip
    """The page, as HTML.

    Args:
        numbers: of :func:`emprune_lab.inspection.summary.summary`.
        number: suspects on it.
        labels: of each row.
        show: what a sample shows, by id; without it, numbers alone.
        shown_by: its name, for errors.

    Raises:
        DataError: ``show`` raises, or gives something that cannot be shown.
    """
    drawn: dict[int, Picture] = {}

    def card(row: int) -> dict[str, Any]:
        sample = int(scores.id[row])
        if show is not None and sample not in drawn:
            drawn[sample] = picture(called(show, shown_by, sample))
        loss = float(scores.loss[row])
        return {
            "id": sample,
            "picture": drawn.get(sample, Picture()),
            "label": None if labels is None else labels[row],
            "loss": loss,
            "memory": float(scores.memory[row]),
            "probability": math.exp(-max(0.0, loss)) if math.isfinite(loss) else None,
            "times": int(scores.times_trained[row]),
        }

    rows = rows_of(scores, number)
    sections = [
        {
            "name": name, "title": heading, "note": note,
            "cards": [card(int(row)) for row in rows[name][: None if name == "suspects" else _OTHERS]],
        }
        for name, (heading, note) in _SECTIONS.items()
    ]  # fmt: skip
    largest = sorted(numbers["classes"].items(), key=lambda item: -item[1]["samples"])
    environment = Environment(
        loader=PackageLoader("emprune_lab.inspection"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = lambda value: "–" if value is None or value != value else f"{value:.2f}"
    environment.filters["percent"] = lambda value: f"{value:.1%}"
    return environment.get_template("gallery.html.j2").render(
        title=title, numbers=numbers, sections=sections, classes=largest[:_MOST_CLASSES],
        more_classes=max(0, len(largest) - _MOST_CLASSES),
    )  # fmt: skip
