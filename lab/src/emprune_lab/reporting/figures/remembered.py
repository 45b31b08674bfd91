"""What the model still predicts right: overall, and by how often a sample was trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from emprune_lab.records.results import Samples
from emprune_lab.reporting.costs import FULL
from emprune_lab.reporting.figures.selecting import Runs, equal_budgets, policies_of, rates_of, shown_of
from emprune_lab.reporting.figures.style import (
    FAINT,
    INK,
    colours,
    grid_lines,
    markers,
    new_figure,
    styled,
)  # fmt: skip

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


@styled
def remembered_figure(runs: Runs) -> Figure:
    """Per rate: remembered overall (bars), by training count (lines), and samples in each bin (below).

    Bars are of all policies, lines of a readable number of them.
    """
    policies, rates = policies_of(runs), rates_of(runs, [FULL])
    few = shown_of(policies_of(equal_budgets(runs), [FULL]))
    most = max(int(one.times_trained.max()) for (policy, _), every in runs.items() if policy in few for one in every)
    width = -(-(most + 1) // _MOST_BINS)
    bars = 0.75 + 0.23 * len(policies)
    figure = new_figure(bars + 3.6)
    panels = figure.subplots(3, len(rates), sharey="row", squeeze=False, height_ratios=[bars, 2.4, 1.0])
    for column, rate in enumerate(rates):
        here = {policy: runs[policy, rate] for policy in policies if (policy, rate) in runs}
        overall = {FULL: runs[FULL, 0.0], **here} if (FULL, 0.0) in runs else here
        _bars(panels[0][column], policies, overall)
        panels[0][column].set_title(f"prune rate {rate:g}", loc="left", fontweight="bold")
        _lines(panels[1][column], panels[2][column], {one: here[one] for one in few if one in here}, policies, width)
    panels[1][0].set_ylabel("remembered, %")
    figure.align_ylabels(panels[:, 0])
    panels[2][0].set_ylabel("samples")
    found = [panel.get_legend_handles_labels() for panel in panels[1]]
    named = {label: handle for handles, labels in found for handle, label in zip(handles, labels, strict=True)}
    labels = [policy for policy in few if policy in named]
    figure.legend(
        [named[label] for label in labels],
        labels,
        loc="outside lower center",
        ncols=min(len(labels), 6),
        handlelength=2.4,
    )
    return figure


def _bars(axes: Axes, policies: Sequence[str], runs: dict[str, Sequence[Samples]]) -> None:
    noisy = any(one.mislabelled.any() for every in runs.values() for one in every)
    for policy, samples in runs.items():
        height, colour = policies.index(policy), colours(policies)[policy]
        right = share_right(samples, mislabelled=False)
        wrong = share_right(samples, mislabelled=True)
        axes.barh(height, right or 0, height=0.62, color=colour, alpha=0.85)
        text = f" {right:.1f}"
        if wrong is not None:
            axes.plot(wrong, height, marker="X", markersize=7, color="white", markeredgecolor=INK, linestyle="none")
            text += f"  (✕ {wrong:.1f})"
        axes.text(right or 0, height, text, va="center", fontsize=8, color=INK)
    axes.set_yticks(range(len(policies)), policies)
    axes.set(ylim=(len(policies) - 0.4, -0.6), xlim=(0, 128 if noisy else 112), xticks=range(0, 101, 25))
    what = "% predicted as labelled: bars, right labels; ✕, wrong labels" if noisy else "remembered, % of all samples"
    axes.set_xlabel(what)
    grid_lines(axes, "x")


def _lines(upper: Axes, lower: Axes, runs: dict[str, Sequence[Samples]], policies: Sequence[str], width: int) -> None:
    for policy, samples in runs.items():
        number, percent = by_count(samples, width)
        centres = np.arange(len(number)) * width + (width - 1) / 2
        percent[number < FEWEST] = np.nan
        colour = colours(policies)[policy]
        filled = number >= FEWEST
        upper.plot(
            centres[filled], percent[filled], color=colour, marker=markers(policies)[policy], markersize=4,
            linewidth=1.5, label=policy,
        )  # fmt: skip
        lower.plot(centres, np.where(number > 0, number, np.nan), color=colour, linewidth=1.3)
    lower.axhline(FEWEST, color=FAINT, linewidth=0.7, linestyle=(0, (2, 2)))
    lower.set_yscale("log")
    lower.yaxis.set_major_locator(LogLocator(numticks=6))
    lower.yaxis.set_minor_locator(NullLocator())
    lower.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.0f}"))
    lower.sharex(upper)
    upper.tick_params(labelbottom=False)
    lower.set_xlabel("times trained" + (f" (bins of {width})" if width > 1 else ""))
    lower.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    grid_lines(upper)
    grid_lines(lower)
