"""The map: gain over dynamic random by effective epochs, small multiples by setting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from studies.map.cells import Cell
from studies.map.measures import gain
from studies.map.names import FIXED, GATED, PAPER, POLICIES, data_of, labels_of, shown
from studies.map.runs import Place

from emprune_lab.report.axes import shared_legend
from emprune_lab.report.formats import signed
from emprune_lab.report.intervals import Estimate
from emprune_lab.report.palette import Look, looks
from emprune_lab.report.style import INK, grid_lines, new_figure, styled

OURS = (PAPER, FIXED, GATED)
_COLUMNS = 4
_EPOCHS, _TICKS = (0.4, 75), (0.5, 1, 2.5, 5, 12, 30, 60)
_LEAST_LENGTHS = 2
_STEP = 1.03
"""Policies at one length stand side by side, each by this factor to the right of the one before."""
_HIGHEST, _LOWEST = 2.2, -2.2
"""Points shown; what lies beyond is at the edge with its value."""

Line = list[tuple[float, Estimate]]
"""(effective epochs, gain) of one policy."""


@styled
def map_figure(cells: Sequence[Cell]) -> Figure:
    """Gain over dynamic random against effective epochs: a panel a place, a line a policy, one scale for all."""
    places = panels_of(cells)
    present = shown(policy for own in places.values() for cell in own for policy in cell.runs)
    look = looks(present)
    rows = -(-len(places) // _COLUMNS)
    figure = new_figure(2.3 * rows + 0.2)
    grid = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    for number, (place, own) in enumerate(places.items()):
        axes = grid.flat[number]
        _panel(axes, {policy: _line(own, policy) for policy in present}, look)
        axes.set_title(_title(place), loc="left", fontweight="bold", fontsize=8.5)
        axes.tick_params(labelbottom=True)
        if number >= len(places) - _COLUMNS:
            axes.set_xlabel("effective epochs")
        if number % _COLUMNS == 0:
            axes.set_ylabel("gain over random, points")
    for axes in grid.flat[len(places) :]:
        axes.set_axis_off()
    for policy in present:
        grid.flat[0].plot([], [], label=POLICIES[policy], **_style(policy, look[policy]))
    shared_legend(figure, grid.flat[: len(places)], columns=len(present))
    return figure


def panels_of(cells: Sequence[Cell]) -> dict[Place, list[Cell]]:
    """The cells of a panel by its place, in the order of tables: without annealing, of two lengths or more."""
    found: dict[Place, list[Cell]] = defaultdict(list)
    for cell in cells:
        if not cell.anneal and len(cell.random) > 1:
            found[cell.place].append(cell)
    return {place: own for place, own in found.items() if len(own) >= _LEAST_LENGTHS}


def _line(cells: Sequence[Cell], policy: str) -> Line:
    found = [(cell.effective_epochs, gain(cell, policy)) for cell in cells]
    return [(epochs, one) for epochs, one in found if one is not None]


def _panel(axes: Axes, lines: Mapping[str, Line], look: Mapping[str, Look]) -> None:
    axes.axhline(0, color=INK, linewidth=1.1, zorder=2)
    for place, (policy, line) in enumerate(lines.items()):
        if line:
            _draw(axes, policy, line, _STEP ** (place - (len(lines) - 1) / 2), look[policy])
    axes.set(xscale="log", xlim=_EPOCHS, ylim=(_LOWEST, _HIGHEST))
    axes.xaxis.set_major_locator(FixedLocator(_TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    grid_lines(axes)


def _draw(axes: Axes, policy: str, line: Line, aside: float, look: Look) -> None:
    ours = policy in OURS
    epochs = np.array([at for at, _ in line]) * aside
    values = np.clip([one.value for _, one in line], _LOWEST, _HIGHEST)
    axes.plot(epochs, values, **_style(policy, look), zorder=5 if ours else 3, clip_on=False)
    for at, value, (_, one) in zip(epochs, values, line, strict=True):
        if not one.sign:
            hollow = {**_style(policy, look), "markerfacecolor": "white"}
            axes.plot(at, value, **hollow, zorder=6 if ours else 4, clip_on=False)
        if ours and value != one.value:
            beyond = len(axes.texts)
            axes.annotate(
                signed(one.value, 1), (at, value), xytext=(0, -np.sign(value) * (5 + 9 * beyond)), ha="center",
                textcoords="offset points", color=look.ink, fontsize=7.5, va="bottom" if value < 0 else "top", zorder=7,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
            )  # fmt: skip


def _style(policy: str, look: Look) -> dict[str, Any]:
    width, size = (1.7, 5) if policy in OURS else (0.8, 3.5)
    return {
        "color": look.colour, "linewidth": width, "marker": look.marker, "markersize": size,
        "markeredgecolor": look.colour, "markeredgewidth": 0.8,
    }  # fmt: skip


def _title(place: Place) -> str:
    return f"{data_of(place)}\n" + ", ".join(filter(None, [f"{place.num_samples:,} samples", _short(place)]))


def _short(place: Place) -> str:
    return f"{place.label_noise:.0%} wrong" if place.label_noise else labels_of(place)
