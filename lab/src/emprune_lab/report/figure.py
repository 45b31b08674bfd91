"""What a figure of the report is: its name, title and caption, what it applies to and how it is drawn."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from emprune_lab.report.comparison import Comparison
from emprune_lab.report.style import png, styled


@dataclass(frozen=True)
class Picture:
    """A figure as PNG bytes, with the name of its file (without ending), what it is, and its caption."""

    name: str
    title: str
    caption: str
    png: bytes


@dataclass(frozen=True)
class ReportFigure:
    """One kind of figure; every file in :mod:`emprune_lab.report.figures` has one, called FIGURE.

    Attributes:
        name: of its PNG file.
        title: its heading.
        caption: how to read it, the same in all reports.
        draw: from a comparison to a figure, or to several by name: "0.7", "emp". Where it needs files that are missing
            it raises DataError, and the report says so.
        applies: whether there is something to draw.
        order: places in the report ascend by it.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Comparison], Figure | Mapping[str, Figure]]
    applies: Callable[[Comparison], bool]
    order: int = 100

    def pictures(self, comparison: Comparison) -> list[Picture]:
        """Draw it; none where it does not apply. Raises DataError where a file that it needs is missing."""
        if not self.applies(comparison):
            return []
        drawn = styled(self.draw)(comparison)
        if isinstance(drawn, Figure):
            return [Picture(self.name, self.title, self.caption, png(drawn))]
        return [
            Picture(
                f"{self.name}-{re.sub(r'[^A-Za-z0-9.-]+', '-', one)}", f"{self.title}: {one}", self.caption, png(figure)
            )
            for one, figure in drawn.items()
        ]
