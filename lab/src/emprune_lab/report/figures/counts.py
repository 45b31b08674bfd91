"""How often each sample was trained: the histograms in which Low-Frequency Learning shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from emprune_lab.records.results import Counts
from emprune_lab.report.comparison import Comparison, policies_of, rates_of, shown_of
from emprune_lab.report.figure import ReportFigure
from emprune_lab.report.palette import looks
from emprune_lab.report.style import FAINT, INK, grid_lines, new_figure

_MOST_BINS = 40
_SPIKE = 75.0


def pooled_counts(samples: Sequence[Counts]) -> NDArray[np.int64]:
    """Training counts of all seeds, end to end: [seeds·N]."""
    return np.concatenate([one.times_trained for one in samples]).astype(np.int64)


def draw(comparison: Comparison) -> Figure:
    """Histograms of the training counts: rows are rates, columns policies, one pair of scales a row."""
    counts = {cell: pooled_counts(samples) for cell, samples in comparison.equal_counts.items()}
    rates, policies = rates_of(counts), shown_of(policies_of(counts))
    look = looks(policies_of(counts))
    most = max(int(one.max()) for (policy, _), one in counts.items() if policy in policies)
    width = -(-(most + 1) // _MOST_BINS)
    figure = new_figure(0.7 + 1.75 * len(rates))
    panels = figure.subplots(len(rates), len(policies), sharex=True, sharey="row", squeeze=False)
    for line, rate in zip(panels, rates, strict=True):
        top = _top([_shares(counts[policy, rate], most, width) for policy in policies if (policy, rate) in counts])
        for axes, policy in zip(line, policies, strict=True):
            if (policy, rate) in counts:
                _panel(axes, counts[policy, rate], most, width, top, look[policy].colour)
            else:
                # Not switched off: the first panel of a row has the labels of the others.
                axes.set_frame_on(False)
                axes.tick_params(bottom=False, labelbottom=False)
        line[0].set_ylabel(f"prune rate {rate:g}\n% of the samples")
        line[0].set_ylim(0, top * 1.08)
    for axes, policy in zip(panels[0], policies, strict=True):
        axes.set_title(policy.replace(":", "\n"), loc="left", color=look[policy].ink, fontweight="bold")
    figure.align_ylabels(panels[:, 0])
    figure.supxlabel("times trained in the whole run", fontsize=9)
    return figure


def _shares(counts: NDArray[np.int64], most: int, width: int) -> NDArray[np.float64]:
    """Percent of the samples in each bin of ``width`` counts from 0."""
    return 100 * np.bincount(counts // width, minlength=most // width + 1) / len(counts)


def _top(shares: Sequence[NDArray[np.float64]]) -> float:
    """Height of a row's panels: its highest bar, but for spikes, which would flatten all else."""
    peaks = [float(share.max()) for share in shares]
    return max([peak for peak in peaks if peak < _SPIKE] or peaks)


def _panel(axes: Axes, counts: NDArray[np.int64], most: int, width: int, top: float, colour: str) -> None:
    shares = _shares(counts, most, width)
    left = np.arange(len(shares)) * width - 0.5
    axes.bar(left, np.minimum(shares, top), width=width, align="edge", color=colour, alpha=0.85, linewidth=0)
    for position in np.flatnonzero(shares > top):
        axes.text(
            left[position] + 1.4 * width, top, f"↑ {shares[position]:.0f} %", ha="left", va="center",
            fontsize=7.5, color=INK,
        )  # fmt: skip
    if shares.max() <= top:  # a clipped spike needs no line through it
        axes.axvline(float(counts.mean()), color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
    axes.text(
        0.98, 0.93, _said(counts),
        transform=axes.transAxes, ha="right", va="top", fontsize=7.5, color=FAINT, linespacing=1.35,
    )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    grid_lines(axes)


def _said(counts: NDArray[np.int64]) -> str:
    spread = counts.std() / counts.mean() if counts.any() else 0.0
    return f"mean {counts.mean():.1f}\ns.d./mean {spread:.2f}\nnever {100 * np.mean(counts == 0):.1f} %"


FIGURE = ReportFigure(
    name="counts",
    title="How often each sample is trained",
    caption="Percent of the samples by how often they were trained, all seeds together. Within a row all policies "
    "spend the same number of samples, so the means (broken line) agree; the difference is on whom they spend them. "
    "s.d./mean says how uneven the turns are, also between rates, whose means differ. Low-Frequency Learning is the "
    "move to the left from a low to a high rate: even the samples ranked hardest get few turns. ↑ marks a bar cut off. "
    "Of many policies six are shown, and none with a budget of its own.",
    draw=draw,
    applies=lambda comparison: bool(comparison.equal_counts),
    order=50,
)
