"""How the memory term moves over training, and how much is remembered meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from emprune_lab.records.results import Result
from emprune_lab.reporting.costs import FULL
from emprune_lab.reporting.figures.style import INK, colours, dashes, grid_lines, markers, new_figure, styled
from emprune_lab.reporting.statistics import policy_order

MEMORY, RETRIEVED = "memory", "retrieved"
"""Entries of a history: mean memory term, and fraction retrieved, of a fixed part of the training set."""
_COLUMNS = 6


def measured(run: Result) -> bool:
    """Whether the run's history has the memory term after each epoch, and what is retrieved."""
    return bool(run.history) and all({MEMORY, RETRIEVED} <= entry.keys() for entry in run.history)


def curve(runs: Sequence[Result], key: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Samples trained until each epoch's end, mean over the runs, shape [E], and an entry of each run, [runs, E]."""
    spent = np.mean([np.cumsum([entry["kept"] for entry in run.history]) for run in runs], axis=0)
    return spent, np.array([[entry[key] for entry in run.history] for run in runs])


@styled
def memory_figure(runs: Mapping[tuple[str, float], Sequence[Result]]) -> Figure:
    """Memory term (above) and percent retrieved (below) over samples trained, one column a rate, means over seeds.

    Bands reach from the lowest seed to the highest. ``full`` trains on so much more that it leaves a column to the
    right; a broken line shows where it ends.

    Args:
        runs: (policy, rate) → the runs of its seeds, each :func:`measured` and of as many epochs; some pruned.
    """
    policies = policy_order(policy for policy, _ in runs)
    rates = sorted({rate for policy, rate in runs if policy != FULL})
    figure = new_figure(5.4 + 0.2 * -(-len(policies) // _COLUMNS))
    panels = figure.subplots(2, len(rates), sharex="col", sharey="row", squeeze=False)
    for column, rate in zip(panels.T, rates, strict=True):
        here = {policy: seeds for (policy, its), seeds in runs.items() if its == rate or policy == FULL}
        for axes, key, scale in zip(column, (MEMORY, RETRIEVED), (1, 100), strict=True):
            _panel(axes, here, policies, key, scale)
        column[0].set_title(f"prune rate {rate:g}", loc="left", fontweight="bold")
        column[0].tick_params(labelbottom=False)
        column[1].set_xlabel("samples trained")
    panels[0][0].set_ylabel("memory term")
    panels[1][0].set_ylabel("remembered, %")
    figure.align_ylabels(panels[:, 0])
    found = [panel.get_legend_handles_labels() for panel in panels[0]]
    named = {label: handle for handles, labels in found for handle, label in zip(handles, labels, strict=True)}
    labels = [policy for policy in policies if policy in named]
    columns = -(-len(labels) // -(-len(labels) // _COLUMNS))
    handles = [named[label] for label in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=2.6)
    return figure


def _panel(
    axes: Axes, runs: Mapping[str, Sequence[Result]], policies: Sequence[str], key: str, scale: float
) -> None:  # fmt: skip
    looks = colours(policies), markers(policies), dashes(policies)
    for policy, seeds in runs.items():
        spent, values = curve(seeds, key)
        colour, marker, line = (look[policy] for look in looks)
        axes.plot(
            spent, scale * values.mean(axis=0), color=colour, linestyle=line, linewidth=1.6, marker=marker,
            markersize=4, markevery=max(1, len(spent) // 10), label=policy, zorder=3,
        )  # fmt: skip
        if len(seeds) > 1:
            low, high = scale * values.min(axis=0), scale * values.max(axis=0)
            axes.fill_between(spent, low, high, color=colour, alpha=0.15, linewidth=0, zorder=2)
        if policy == FULL:
            axes.axhline(scale * values[:, -1].mean(), color=INK, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
    longest = max(curve(seeds, key)[0][-1] for policy, seeds in runs.items() if policy != FULL)
    axes.set_xlim(0, 1.04 * longest)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.0f}"))
    grid_lines(axes, "both")
