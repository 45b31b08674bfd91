"""The study's figures, from its published numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from studies.memorization.summary import EDGES, GIVEN, Numbers

from emprune_lab.report.palette import looks
from emprune_lab.report.style import FAINT, INK, grid_lines, new_figure, styled

_LINES = {
    "loss": ("#d55e00", "-", "L (LFL)"),
    "entropy": ("#009e73", "-", "H"),
    "loss + 1·entropy": ("#9ecae1", "-", "L + H"),
    "loss + 5·entropy": ("#4292c6", "-", "L + 5H"),
    "loss + 20·entropy": ("#08306b", "-", "L + 20H (EMP)"),
    GIVEN: (INK, (0, (4, 2)), "H with L held fixed"),
}
_BANDS = ("loss", "entropy", GIVEN)
_TARGETS = {"mem": "with mem", "gain": "with the loss that it saves", "votes": "with I(f(x); w | x)"}
_GROUPS = (
    f"< {EDGES[0]:g}", *(f"{low:g}–{high:g}" for low, high in pairwise(EDGES)), f"≥ {EDGES[-1]:g}",
)  # fmt: skip
_FEWEST = 10
_STRATUM_LINES = {"all": "-", "right label": "-", "wrong label": (0, (3, 2))}


@styled
def correlations_figure(conditions: Sequence[Numbers]) -> Figure:
    """Rank correlations over the epochs: rows are what is correlated with, columns conditions and their parts."""
    columns = [(condition, part) for condition in conditions for part in condition["correlations"]]
    figure = new_figure(2.1 * len(_TARGETS) + 0.9, max(5.0, 2.6 * len(columns)))
    panels = figure.subplots(len(_TARGETS), len(columns), sharex=True, sharey=True, squeeze=False)
    for column, (condition, part) in enumerate(columns):
        for row, target in enumerate(_TARGETS):
            axes = panels[row][column]
            _correlation_lines(axes, condition["correlations"][part]["after"][target])
            limit = condition["reliability"][part][target]
            for height in (min(limit["bound"], limit["ceiling"]), 0.0):
                axes.axhline(height, color=FAINT, linewidth=0.9, linestyle=(0, (1, 2)) if height else "-")
        panels[0][column].set_title(_title(condition, part), loc="left", fontweight="bold")
        panels[-1][column].set_xlabel("epoch")
    panels[0][0].set_ylim(-1, 1)
    _finish(
        figure,
        panels,
        [f"rank correlation\n{name}" for name in _TARGETS.values()],
        panels[0][0],
        ncols=6,
        handlelength=2.2,
    )
    return figure


def _correlation_lines(axes: Axes, scores: Mapping[str, Mapping[str, list[float | None]]]) -> None:
    for score, (colour, dashes, label) in _LINES.items():
        value, low, high = (np.array(scores[score][name], dtype=float) for name in ("value", "low", "high"))
        epochs = np.arange(1, len(value) + 1)
        axes.plot(epochs, value, color=colour, linestyle=dashes, linewidth=1.5, label=label)
        if score in _BANDS:
            axes.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    grid_lines(axes)


@styled
def pruned_figure(conditions: Sequence[Numbers]) -> Figure:
    """Under pruning: how often each group of mem is trained, what is remembered of it, and mem by training count."""
    columns = [(condition, rate) for condition in conditions for rate in _rates(condition)]
    figure = new_figure(7.2, max(5.0, 2.6 * len(columns)))
    panels = figure.subplots(3, len(columns), sharey="row", squeeze=False)
    for (condition, rate), (trained, remembered, by_count) in zip(columns, panels.T, strict=True):
        parts = [part for part in condition["correlations"] if part != "all"] or ["all"]
        pruned = [run for run in condition["pruned"] if run["prune_rate"] == rate]
        for run in pruned:
            bins = [one for one in run["by_count"] if one["samples"] >= _FEWEST]
            middles = [(one["from"] + one["to"]) / 2 for one in bins]
            by_count.plot(middles, [one["mem"] for one in bins], **_look(run["policy"]))
            _group_lines(trained, run, parts, "times_trained", 1)
        for run in [run for run in condition["pruned"] if run["policy"] == "full"] + pruned:
            _group_lines(remembered, run, parts, "remembered", 100)
        trained.set_title(f"{_title(condition, 'all')}, rate {rate:g}", loc="left", fontweight="bold")
        for axes in (trained, remembered):
            axes.set_xticks(range(len(_GROUPS)), _GROUPS)
            axes.set_xlabel("mem")
        by_count.set_xlabel("times trained")
        by_count.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for axes in panels.flat:
        grid_lines(axes)
    _finish(figure, panels, ["times trained", "remembered, %", "mean mem"], panels[1][-1], ncols=4, handlelength=2.6)
    return figure


def _group_lines(axes: Axes, run: Numbers, parts: Sequence[str], what: str, scale: float) -> None:
    for part in parts:
        points = [
            (place, *(scale * group[what][name] for name in ("value", "low", "high")))
            for place, group in enumerate(run["by_group"][part])
            if group is not None and group["samples"] >= _FEWEST and group[what]["low"] is not None
        ]
        if points:
            place, value, low, high = np.array(points).T
            axes.errorbar(
                place, value, yerr=np.maximum([value - low, high - value], 0), **_look(run["policy"]),
                label=run["policy"] if part == "all" else f"{run['policy']}, {part}", linestyle=_STRATUM_LINES[part],
                markerfacecolor="white" if part == "wrong label" else None, elinewidth=0.8,
            )  # fmt: skip


def _look(policy: str) -> dict[str, Any]:
    look = looks([policy])[policy]
    return {"color": look.colour, "marker": look.marker, "markersize": 4, "linewidth": 1.4}


def _finish(figure: Figure, panels: Any, rows: Sequence[str], with_legend: Axes, **legend: Any) -> None:
    """Names of the rows, and one legend for all panels."""
    for axes, name in zip(panels[:, 0], rows, strict=True):
        axes.set_ylabel(name)
    figure.align_ylabels(panels[:, 0])
    handles, labels = with_legend.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(list(unique.values()), list(unique), loc="outside lower center", **legend)


def _rates(condition: Numbers) -> list[float]:
    return sorted({run["prune_rate"] for run in condition["pruned"] if run["policy"] != "full"})


def _title(condition: Numbers, part: str) -> str:
    noise = condition["label_noise"]
    name = f"{100 * noise:g} % wrong labels" if noise else "clean"
    return name if part == "all" else f"{name}:\nthose with a {part}"
