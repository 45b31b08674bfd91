"""What a policy that lets training decide how it selects has seen and decided, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from emprune_lab.records.results import Result
from emprune_lab.report.comparison import Comparison
from emprune_lab.report.figure import ReportFigure
from emprune_lab.report.palette import Look, looks
from emprune_lab.report.statistics import policy_order
from emprune_lab.report.style import GRID, grid_lines, new_figure

_LABELS = {
    "gap": "generalisation gap + its error",
    "reliability": "reliability of scores − its error",
    "gamma": "exponent γ",
}
_ERRORS = {"gap": 1, "reliability": -1}
"""By which sign an error is added, as the exponent has it."""
_HEIGHT = 2.9
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (4, 1.5, 1, 1.5)))

Runs = Mapping[tuple[str, float], Sequence[Result]]


def draw(comparison: Comparison) -> Figure:
    """A panel a quantity, over the epochs; a line a policy and rate."""
    runs = _deciding(comparison)
    policies, rates = policy_order(policy for policy, _ in runs), sorted({rate for _, rate in runs})
    look = looks(policies)
    dashes = {rate: _DASHES[place % len(_DASHES)] for place, rate in enumerate(rates)}
    figure = new_figure(_HEIGHT)
    for axes, (name, label) in zip(figure.subplots(1, len(_LABELS)), _LABELS.items(), strict=True):
        for (policy, rate), seeds in runs.items():
            _line(axes, [_values(run, name) for run in seeds], look[policy], dashes[rate])
        axes.set(xlabel="epoch", ylabel=label)
        axes.axhline(0, color=GRID, linewidth=1, zorder=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        grid_lines(axes, "both")
    entries = [
        Line2D([], [], color=look[policy].colour, linestyle=dashes[rate], label=f"{policy}, {rate:g}")
        for policy, rate in runs
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=4)
    return figure


def _deciding(comparison: Comparison) -> Runs:
    """The runs whose history says what was decided."""
    found = {
        cell: [run for run in seeds.values() if any("gamma" in entry for entry in run.history)]
        for cell, seeds in comparison.cells.items()
    }
    return {cell: runs for cell, runs in found.items() if runs}


def _values(run: Result, name: str) -> NDArray[np.float64]:
    """float64, shape [E]; NaN where it was not known."""
    found = [entry.get(name, np.nan) + _ERRORS.get(name, 0) * entry.get(f"{name}_error", 0.0) for entry in run.history]
    return np.maximum(found, 0) if name == "reliability" else np.array(found)


def _line(axes: Axes, runs: Sequence[NDArray[np.float64]], look: Look, dashes: Any) -> None:
    values = np.stack(runs)
    known = ~np.isnan(values).any(axis=0)
    epochs, values = np.flatnonzero(known), values[:, known]
    axes.plot(epochs, values.mean(axis=0), color=look.colour, linestyle=dashes, linewidth=1.6, zorder=3)
    axes.fill_between(
        epochs, values.min(axis=0), values.max(axis=0), color=look.colour, alpha=0.13, linewidth=0, zorder=2
    )


FIGURE = ReportFigure(
    name="decided",
    title="What was seen and decided during training",
    caption="Of policies that let training decide the exponent of their scores: the generalisation gap, (loss of "
    "samples trained for the first time − loss of those trained before) / the former; the part of a stored score’s "
    "distance from the mean that is still there when its sample is trained again; each made worse by its standard "
    "error, as the exponent counts it; and the exponent γ that followed, 0 being dynamic random. Means over the seeds, "
    "from the epoch on in which all of them know; bands from the lowest seed to the highest.",
    draw=draw,
    applies=lambda comparison: bool(_deciding(comparison)),
    order=45,
)
