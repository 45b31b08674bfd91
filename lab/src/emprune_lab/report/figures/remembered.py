"""What the model still predicts right: overall, and by how often a sample was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from emprune_lab.records.results import Samples
from emprune_lab.report.axes import shared_legend
from emprune_lab.report.comparison import Comparison, policies_of, rates_of, shown_of
from emprune_lab.report.costs import FULL
from emprune_lab.report.figure import ReportFigure
from emprune_lab.report.palette import Look, looks
from emprune_lab.report.style import INK, grid_lines, new_figure

FEWEST = 10
"""A bin with fewer samples has no rate worth drawing."""
_MOST_BINS = 16


def share_right(samples: Sequence[Samples], *, mislabelled: bool) -> float | None:
    """Percent predicted as labelled, among samples with a wrong or with a right label, all seeds together.

    None where there is no such sample.
    """
    chosen = [right for one in samples for right in one.correct[one.mislabelled == mislabelled]]
    return float(100 * np.mean(chosen)) if chosen else None


def by_count(samples: Sequence[Samples], width: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Samples in each bin of ``width`` training counts from 0, and the percent of them predicted right.

    Only samples with a right label: those with a wrong one are trained often *because* they are not learnt.

    Returns:
        int64 and float64, shape [bins]; the percentage is NaN in an empty bin.
    """
    bins = np.concatenate([one.times_trained[~one.mislabelled] for one in samples]) // width
    right = np.concatenate([one.correct[~one.mislabelled] for one in samples])
    number = np.bincount(bins)
    hits = np.bincount(bins, weights=right)
    return number, 100 * np.divide(hits, number, out=np.full(len(number), np.nan), where=number > 0)


def draw(comparison: Comparison) -> Figure:
    """Per rate: remembered overall (bars), and by training count (lines)."""
    runs, equal = comparison.arrays, comparison.equal_arrays
    policies, few = policies_of(runs), shown_of(policies_of(equal))
    rates, look = rates_of(runs), looks(policies)
    most = max(int(one.times_trained.max()) for (policy, _), seeds in equal.items() if policy in few for one in seeds)
    width = -(-(most + 1) // _MOST_BINS)
    bars = 0.75 + 0.23 * len(policies)
    figure = new_figure(bars + 2.6)
    panels = figure.subplots(2, len(rates), sharey="row", squeeze=False, height_ratios=[bars, 2.4])
    for (upper, lower), rate in zip(panels.T, rates, strict=True):
        here = {policy: runs.get((policy, 0.0 if policy == FULL else rate), []) for policy in policies}
        here = {policy: samples for policy, samples in here.items() if samples}
        upper.set_title(f"prune rate {rate:g}", loc="left", fontweight="bold")
        _bars(upper, policies, here, look)
        _lines(lower, {policy: here[policy] for policy in few if policy in here}, look, width)
    panels[1][0].set_ylabel("remembered, %")
    shared_legend(figure, panels[1])
    return figure


def _bars(axes: Axes, policies: Sequence[str], runs: Mapping[str, Sequence[Samples]], look: Mapping[str, Look]) -> None:
    noisy = any(one.mislabelled.any() for every in runs.values() for one in every)
    for policy, samples in runs.items():
        height, right = policies.index(policy), share_right(samples, mislabelled=False) or 0.0
        wrong = share_right(samples, mislabelled=True)
        axes.barh(height, right, height=0.62, color=look[policy].colour, alpha=0.85)
        text = f" {right:.1f}"
        if wrong is not None:
            axes.plot(wrong, height, marker="X", markersize=7, color="white", markeredgecolor=INK, linestyle="none")
            text += f"  (✕ {wrong:.1f})"
        axes.text(right, height, text, va="center", fontsize=8, color=INK)
    axes.set_yticks(range(len(policies)), policies)
    axes.set(ylim=(len(policies) - 0.4, -0.6), xlim=(0, 128 if noisy else 112), xticks=range(0, 101, 25))
    what = "% predicted as labelled: bars, right labels; ✕, wrong labels" if noisy else "remembered, % of all samples"
    axes.set_xlabel(what)
    grid_lines(axes, "x")


def _lines(axes: Axes, runs: Mapping[str, Sequence[Samples]], look: Mapping[str, Look], width: int) -> None:
    for policy, samples in runs.items():
        number, percent = by_count(samples, width)
        filled = number >= FEWEST
        axes.plot(
            np.flatnonzero(filled) * width + (width - 1) / 2, percent[filled], color=look[policy].colour,
            marker=look[policy].marker, markersize=4, linewidth=1.5, label=policy,
        )  # fmt: skip
    axes.set_xlabel("times trained" + (f" (bins of {width})" if width > 1 else ""))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    grid_lines(axes)


FIGURE = ReportFigure(
    name="remembered",
    title="What is remembered",
    caption="Remembered as in the table, all seeds together. Top: overall. Bottom: by how often a sample was "
    f"trained, in bins that hold at least {FEWEST} samples. Under label noise bars and lines are of the samples with "
    "a right label, and ✕ is the part of the wrong labels that the model reproduces: noise learnt by heart, where "
    "low is good. Of many policies the lines show six, and none with a budget of its own.",
    draw=draw,
    applies=lambda comparison: bool(comparison.equal_arrays),
    order=60,
)
