"""The search as a figure: which part of the default policy buys what, where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emprune_lab.report.intervals import paired_difference
from emprune_lab.report.palette import looks
from emprune_lab.report.style import FAINT, grid_lines, new_figure, png, styled

ROWS = {
    "gate": "the default",
    "gate:drift=0": "… old losses count as new ones",
    "gate:doubt=0.5": "… half the doubt",
    "gate:reserve=0.02": "… 2 % kept back",
    "rs2": "even counts alone (RS2)",
    "emp": "hard samples alone (EMP)",
}
"""Rows of the figure, by the variant's label."""
_COLUMNS = 3


def figure_png(runs: Sequence[Mapping[str, Any]]) -> bytes:
    """The figure as PNG."""
    return png(ablation_figure(runs))


@styled
def ablation_figure(runs: Sequence[Mapping[str, Any]]) -> Figure:
    """A panel a setting: accuracy on the validation split minus that of random, points, with 95 % intervals."""
    settings = list(dict.fromkeys(run["setting"] for run in runs))
    rows = -(-len(settings) // _COLUMNS)
    figure = new_figure(0.7 + rows * (0.25 * len(ROWS) + 0.7), 9.5)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False, sharey=True)
    for axes, setting in zip(panels.flat, settings, strict=False):
        _panel(axes, [run for run in runs if run["setting"] == setting])
        axes.set_title(fill(setting, 36), loc="left", fontsize=8.5, fontweight="bold")
    for axes in panels.flat[len(settings) :]:
        axes.set_visible(False)
    figure.supxlabel("accuracy minus that of random subsets, points; 95 % intervals, paired by seed", fontsize=9)
    return figure


def _panel(axes: Axes, runs: Sequence[Mapping[str, Any]]) -> None:
    random = {run["seed"]: run["value"] for run in runs if run["variant"] == "random"}
    colours = looks(["emp-gated", "rs2", "emp"])
    axes.axvline(0, color=FAINT, linewidth=0.9)
    for row, variant in enumerate(ROWS):
        found = {run["seed"]: run["value"] for run in runs if run["variant"] == variant}
        seeds = sorted(found.keys() & random.keys())
        if not seeds:
            continue
        gain = paired_difference([found[seed] for seed in seeds], [random[seed] for seed in seeds])
        look = colours["emp-gated" if variant.startswith("gate") else variant]
        axes.errorbar(
            gain.value, row, xerr=gain.half_width or 0, fmt="o", color=look.colour, markersize=5, elinewidth=1.4,
            markerfacecolor=look.colour if variant == "gate" else "none",
        )  # fmt: skip
    axes.set_yticks(range(len(ROWS)), list(ROWS.values()))
    axes.set_ylim(len(ROWS) - 0.5, -0.5)
    grid_lines(axes, "x")
