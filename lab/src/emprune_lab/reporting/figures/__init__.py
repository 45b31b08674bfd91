"""Figures of the report: functions from rows and per-sample arrays to a matplotlib Figure."""

from emprune_lab.reporting.figures.accuracy import accuracy_figure
from emprune_lab.reporting.figures.contact import contact_figure, extremes
from emprune_lab.reporting.figures.counts import counts_figure
from emprune_lab.reporting.figures.differences import difference_figure
from emprune_lab.reporting.figures.maps import map_figure
from emprune_lab.reporting.figures.memory import memory_figure
from emprune_lab.reporting.figures.remembered import remembered_figure
from emprune_lab.reporting.figures.selecting import Runs
from emprune_lab.reporting.figures.spending import spending_figure
from emprune_lab.reporting.figures.style import png

__all__ = [
    "Runs", "accuracy_figure", "contact_figure", "counts_figure", "difference_figure", "extremes", "map_figure",
    "memory_figure", "png", "remembered_figure", "spending_figure",
]  # fmt: skip
