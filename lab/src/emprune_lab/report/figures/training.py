"""What is measured after each epoch, over the samples and the seconds spent until then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from emprune_lab.records.metrics import METRICS
from emprune_lab.records.results import Result
from emprune_lab.report.axes import LABEL_INCHES, name_ends
from emprune_lab.report.comparison import Comparison, policies_of, rates_of, shown_of
from emprune_lab.report.costs import FULL
from emprune_lab.report.figure import ReportFigure
from emprune_lab.report.palette import Look, looks
from emprune_lab.report.style import INK, grid_lines, new_figure

Runs = Mapping[str, Sequence[Result]]
"""Policy → the runs of its seeds."""

_SPENT = {"kept": "samples trained", "seconds": "seconds of training"}
_LABELS = {"memory": "memory term", "retrieved": "remembered, fraction"}
_PANEL_INCHES = 2.7


def draw(comparison: Comparison) -> dict[str, Figure]:
    """One figure a rate: a row for each quantity, over samples and, of runs on one machine, over seconds."""
    runs = _measured(comparison)
    pruned = shown_of([policy for policy in policies_of(runs) if policy != FULL])
    look = looks([FULL, *pruned])
    spent = list(_SPENT) if comparison.one_machine else ["kept"]
    figures = {}
    for rate in rates_of(runs):
        shown = {policy: runs[policy, rate] for policy in pruned if (policy, rate) in runs}
        if (FULL, 0.0) in runs:
            shown = {FULL: runs[FULL, 0.0], **shown}
        figures[f"{rate:g}"] = _figure(shown, look, _quantities(comparison), spent)
    return figures


def _quantities(comparison: Comparison) -> list[str]:
    """What the history of some run has of its every epoch. Its accuracy is that of training batches, and left out."""
    histories = [run.history for seeds in comparison.cells.values() for run in seeds.values() if run.history]
    names = [name for name in (*METRICS, *_LABELS) if name != "accuracy"]
    return [name for name in names if any(all(name in entry for entry in history) for history in histories)]


def _measured(comparison: Comparison) -> dict[tuple[str, float], list[Result]]:
    """The runs that have all quantities after each epoch."""
    names = _quantities(comparison)
    needed = [*names, *_SPENT]
    runs = {
        cell: [run for run in seeds.values() if run.history and all(name in e for e in run.history for name in needed)]
        for cell, seeds in comparison.cells.items()
    }
    return {cell: found for cell, found in runs.items() if found and names}


def _figure(runs: Runs, look: Mapping[str, Look], quantities: Sequence[str], spent: Sequence[str]) -> Figure:
    figure = new_figure(max(_PANEL_INCHES, LABEL_INCHES * (len(runs) + 2)) * len(quantities) + 0.6)
    panels = figure.subplots(len(quantities), len(spent), sharex="col", sharey="row", squeeze=False)
    for line, quantity in zip(panels, quantities, strict=True):
        for axes, what in zip(line, spent, strict=True):
            _panel(axes, runs, look, what, quantity)
        ends = {policy: float(_curves(seeds, "kept", quantity)[1][:, -1].mean()) for policy, seeds in runs.items()}
        name_ends(line[-1], ends, look, LABEL_INCHES * len(quantities) / (figure.get_figheight() - 0.8), 3)
        line[0].set_ylabel(METRICS[quantity].words if quantity in METRICS else _LABELS[quantity])
    for axes, what in zip(panels[-1], spent, strict=True):
        axes.set_xlabel(_SPENT[what])
    figure.align_ylabels(panels[:, 0])
    return figure


def _curves(runs: Sequence[Result], what: str, quantity: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spent until each epoch's end, mean over the runs, shape [E], and the quantity of each run, [runs, E]."""
    spent = np.mean([np.cumsum([entry[what] for entry in run.history]) for run in runs], axis=0)
    return spent, np.array([[entry[quantity] for entry in run.history] for run in runs])


def _panel(axes: Axes, runs: Runs, look: Mapping[str, Look], what: str, quantity: str) -> None:
    longest = max(_curves(seeds, what, quantity)[0][-1] for policy, seeds in runs.items() if policy != FULL)
    for policy, seeds in runs.items():
        spent, values = _curves(seeds, what, quantity)
        axes.plot(
            spent, values.mean(axis=0), color=look[policy].colour, linestyle=look[policy].dashes, linewidth=1.6,
            marker=look[policy].marker, markersize=4, markevery=max(1, len(spent) // 10), label=policy, zorder=3,
        )  # fmt: skip
        axes.fill_between(
            spent, values.min(axis=0), values.max(axis=0), color=look[policy].colour, alpha=0.15, linewidth=0, zorder=2
        )
        if policy == FULL:
            axes.axhline(values[:, -1].mean(), color=INK, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
    axes.set_xlim(0, 1.04 * longest)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.10g}"))
    grid_lines(axes, "both")


FIGURE = ReportFigure(
    name="training",
    title="During training, by prune rate",
    caption="What is measured after each epoch: means over the seeds, bands from the lowest seed to the highest, and "
    "where each policy ends. The learning rate falls to zero over each policy’s own steps, so only the right ends "
    "compare finished runs. full leaves the picture to the right; the broken line is where it ends. Metrics are "
    "measured on a part of the held-out data, so that their last values differ a little from the table’s. The memory "
    "term is the one named in the recipe (of the encoder’s output where that is none), the same for all policies, in "
    "nats (alignment: without unit); it and what is remembered are of a fixed part of the training set under fixed "
    "views. Of many policies six are shown.",
    draw=draw,
    applies=lambda comparison: any(policy != FULL for policy, _ in _measured(comparison)),
    order=40,
)
