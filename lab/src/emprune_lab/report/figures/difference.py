"""What each policy gains on the reference, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emprune_lab.report.comparison import Comparison
from emprune_lab.report.figure import ReportFigure
from emprune_lab.report.formats import signed
from emprune_lab.report.intervals import Estimate
from emprune_lab.report.palette import looks
from emprune_lab.report.statistics import policy_order
from emprune_lab.report.style import FAINT, INK, grid_lines, new_figure


def draw(comparison: Comparison) -> Figure:
    """Paired differences with intervals: one panel a rate, one line a policy, one scale for all."""
    shown = [(row, row.difference) for row in comparison.rated if row.difference]
    policies = policy_order(row.policy for row, _ in shown)
    rates = sorted({row.prune_rate for row, _ in shown})
    metric, look = shown[0][0].metric, looks(policies)
    limits = _limits([difference for _, difference in shown], metric.point)
    figure = new_figure(0.9 + 0.36 * len(policies))
    panels = figure.subplots(1, len(rates), sharex=True, sharey=True, squeeze=False)[0]
    for axes, rate in zip(panels, rates, strict=True):
        axes.axvline(0, color=INK, linewidth=1)
        axes.set_title(f"prune rate {rate:g}", loc="left", fontweight="bold")
        axes.set_xlabel(f"{metric.words} minus {shown[0][0].reference}, {metric.difference_unit}".removesuffix(", "))
        axes.set_yticks(range(len(policies)), policies)
        axes.set(ylim=(len(policies) - 0.5, -0.6), xlim=limits)
        axes.spines.left.set_visible(False)
        grid_lines(axes, "x")
    for row, difference in shown:
        axes, height = panels[rates.index(row.prune_rate)], policies.index(row.policy)
        _line(axes, height, difference, metric.digits, look[row.policy].colour)
    for label, policy in zip(panels[0].get_yticklabels(), policies, strict=True):
        label.set(color=look[policy].ink, fontweight="bold")
    return figure


def _limits(differences: Sequence[Estimate], point: float) -> tuple[float, float]:
    """Limits that hold zero and every difference, but for those above three points and four times the median one.

    An interval longer than that leaves the picture.
    """
    reach = max(4 * float(np.median([abs(one.value) for one in differences])), 3 * point)
    ends = np.clip([one.ends for one in differences if abs(one.value) <= reach], -reach, reach)
    low, high = min(0.0, float(ends.min())), max(0.0, float(ends.max()))
    margin = 0.1 * max(high - low, 0.5 * point)
    return low - margin, high + margin


def _line(axes: Axes, height: int, difference: Estimate, digits: int, colour: str) -> None:
    said, (lowest, highest) = signed(difference.value, digits), axes.get_xlim()
    if not lowest <= difference.value <= highest:
        below = difference.value < lowest
        axes.annotate(
            f"◂ {said}" if below else f"{said} ▸", (0 if below else 1, height), xycoords=("axes fraction", "data"),
            color=colour, va="center", ha="left" if below else "right", xytext=(4 if below else -4, 0),
            textcoords="offset points",
        )  # fmt: skip
        return
    axes.hlines(height, *difference.ends, color=colour, linewidth=2.2)
    filled = difference.sign or difference.low is None
    axes.plot(
        difference.value, height, marker="o", markersize=7, markerfacecolor=colour if filled else "white",
        markeredgecolor=colour, markeredgewidth=1.6, linestyle="none",
    )  # fmt: skip
    axes.annotate(
        said, (difference.value, height), xytext=(0, 6), textcoords="offset points", ha="center", va="bottom",
        fontsize=8, color=FAINT, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
    )  # fmt: skip


FIGURE = ReportFigure(
    name="difference",
    title="Difference to the reference",
    caption="Metric value minus the reference’s with the same seed, hence the same initial weights and the same wrong "
    "labels, at the same number of training samples (unless the reference is full). Bars: 95 % interval of the paired "
    "difference, and one that reaches the edge is longer; a filled dot is significant, a hollow one is not. One seed "
    "has no interval. ◂ and ▸ mark values off the scale.",
    draw=draw,
    applies=lambda comparison: any(row.difference for row in comparison.rated),
    order=20,
)
