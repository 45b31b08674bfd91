"""Gain against generalisation gap: a mark a cell, over all studies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from studies.map.cells import Cell
from studies.map.gap import EXPLANATIONS, Correlation, Point, points
from studies.map.names import FIXED, GATED, POLICIES, data_of

from emprune_lab.report.axes import shared_legend
from emprune_lab.report.formats import signed
from emprune_lab.report.style import FAINT, INK, grid_lines, new_figure, styled

_COLOURS = (
    "#0072b2", "#e69f00", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#882255", "#999933", "#222222", "#7a4a2b",
    "#8a8a8a", "#332288",
)  # fmt: skip
"""Okabe & Ito (2008), then Tol (2021), each with a marker of its own."""
_LINEAR, _TICKS = 1.0, (-1, 0, 1, 2, 5, 10, 20)
"""Most gaps are of few points, some of many: logarithmic above one point."""
_SHOWN_GAIN = (-5.0, 3.5)
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "h", "<", ">", "p", "*")


@styled
def gap_figure(cells: Sequence[Cell]) -> Figure:
    """EMP's gain in accuracy against the generalisation gap of random: a panel a policy, a mark a cell."""
    found = {policy: points(cells, policy) for policy in (FIXED, GATED)}
    found = {policy: own for policy, own in found.items() if own}
    settings = list(dict.fromkeys(data_of(point.cell.place) for own in found.values() for point in own))
    look = dict(zip(settings, zip(_COLOURS, _MARKERS, strict=True), strict=False))
    figure = new_figure(3.7)
    panels = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (policy, own) in zip(panels, found.items(), strict=True):
        explain = EXPLANATIONS["generalisation gap"]
        rank = Correlation.of([explain(point) for point in own], [point.gain.value for point in own])
        said = f": rank correlation {signed(rank.value)}" if rank.value is not None else ""
        axes.set_title(f"{POLICIES[policy]}{said}, {rank.count} cells", loc="left", fontweight="bold")
        axes.axhline(0, color=INK, linewidth=1.1, zorder=2)
        for point in own:
            _mark(axes, point, *look[data_of(point.cell.place)])
        axes.set_xscale("symlog", linthresh=_LINEAR, linscale=0.6)
        axes.set(xlabel="generalisation gap of random, points", xticks=_TICKS, xticklabels=map(str, _TICKS))
        axes.xaxis.set_minor_locator(NullLocator())
        grid_lines(axes)
    panels[0].set_ylabel("gain over random in accuracy, points")
    panels[-1].plot(
        [], [], "o", color=FAINT, markerfacecolor="white", markeredgewidth=1.2, label="wrong labels: hollow"
    )
    shared_legend(figure, panels, columns=5)
    return figure


def _mark(axes: Axes, point: Point, colour: str, marker: str) -> None:
    """Hollow where labels are wrong; a line is the gain's interval where the seeds give one."""
    wrong, at = point.cell.place.label_noise > 0, point.gap.value
    ends, value = np.clip(point.gain.ends, *_SHOWN_GAIN), float(np.clip(point.gain.value, *_SHOWN_GAIN))
    axes.vlines(at, *ends, color=colour, linewidth=0.8, alpha=0.35, zorder=3)
    axes.plot(
        at, value, linestyle="none", marker=marker, markersize=6, markeredgewidth=1.2, markeredgecolor=colour,
        markerfacecolor="white" if wrong else colour, zorder=4, label=None if wrong else data_of(point.cell.place),
    )  # fmt: skip
    if value != point.gain.value:
        axes.annotate(
            signed(point.gain.value, 1), (at, value), xytext=(6, 0), textcoords="offset points", color=colour,
            va="center", fontsize=7.5,
        )  # fmt: skip
