"""The study's figures, from its published numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

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
    for row, name in enumerate(_TARGETS.values()):
        panels[row][0].set_ylabel(f"rank correlation\n{name}")
    panels[0][0].set_ylim(-1, 1)
    figure.align_ylabels(panels[:, 0])
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, handlelength=2.2)
    return figure


def _correlation_lines(axes: Axes, scores: Mapping[str, Mapping[str, list[float | None]]]) -> None:
    for score, (colour, dashes, label) in _LINES.items():
        value, low, high = (
            np.array([np.nan if one is None else one for one in scores[score][name]])
            for name in ("value", "low", "high")
        )
        epochs = np.arange(1, len(value) + 1)
        axes.plot(epochs, value, color=colour, linestyle=dashes, linewidth=1.5, label=label)
        if score in ("loss", "entropy", GIVEN):
            axes.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    grid_lines(axes)


@styled
def pruned_figure(conditions: Sequence[Numbers]) -> Figure:
    """Under pruning: how often each group of mem is trained, what is remembered of it, and mem by training count."""
    columns = [(condition, rate) for condition in conditions for rate in _rates(condition)]
    figure = new_figure(7.2, max(5.0, 2.6 * len(columns)))
    panels = figure.subplots(3, len(columns), sharey="row", squeeze=False)
    for column, (condition, rate) in enumerate(columns):
        runs = [run for run in condition["pruned"] if run["prune_rate"] in (rate, 0.0)]
        parts = [part for part in condition["correlations"] if part != "all"] or ["all"]
        for run in runs:
            for part in parts:
                if run["policy"] != "full":
                    _group_line(panels[0][column], run, part, "times_trained", 1)
                _group_line(panels[1][column], run, part, "remembered", 100)
            if run["policy"] != "full":
                _count_line(panels[2][column], run)
        panels[0][column].set_title(f"{_title(condition, 'all')}, rate {rate:g}", loc="left", fontweight="bold")
        for row in (0, 1):
            panels[row][column].set_xticks(range(len(_GROUPS)), _GROUPS)
            panels[row][column].set_xlabel("mem")
        panels[2][column].set_xlabel("times trained")
    for row, name in enumerate(("times trained", "remembered, %", "mean mem")):
        panels[row][0].set_ylabel(name)
    figure.align_ylabels(panels[:, 0])
    handles, labels = panels[1][-1].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(list(unique.values()), list(unique), loc="outside lower center", ncols=4, handlelength=2.6)
    return figure


def _group_line(axes: Axes, run: Numbers, part: str, what: str, scale: float) -> None:
    policy = run["policy"]
    points = [
        (place, *(scale * group[what][name] for name in ("value", "low", "high")))
        for place, group in enumerate(run["by_group"][part])
        if group is not None and group["samples"] >= _FEWEST and group[what]["low"] is not None
    ]
    grid_lines(axes)
    if not points:
        return
    place, value, low, high = np.array(points).T
    label = policy if part == "all" else f"{policy}, {part}"
    axes.errorbar(
        place, value, yerr=[np.maximum(value - low, 0), np.maximum(high - value, 0)], label=label,
        color=looks([policy])[policy].colour, marker=looks([policy])[policy].marker, markersize=4, linewidth=1.4,
        linestyle=_STRATUM_LINES[part], markerfacecolor="white" if part == "wrong label" else None, elinewidth=0.8,
    )  # fmt: skip


def _count_line(axes: Axes, run: Numbers) -> None:
    policy = run["policy"]
    bins = [one for one in run["by_count"] if one["samples"] >= _FEWEST]
    axes.plot(
        [(one["from"] + one["to"]) / 2 for one in bins], [one["mem"] for one in bins],
        color=looks([policy])[policy].colour, marker=looks([policy])[policy].marker, markersize=4, linewidth=1.4,
    )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    grid_lines(axes)


def _rates(condition: Numbers) -> list[float]:
    return sorted({run["prune_rate"] for run in condition["pruned"] if run["policy"] != "full"})


def _title(condition: Numbers, part: str) -> str:
    noise = condition["label_noise"]
    name = f"{100 * noise:g} % wrong labels" if noise else "clean"
    return name if part == "all" else f"{name}:\nthose with a {part}"
