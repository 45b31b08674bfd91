"""What each policy gains on the reference, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emprune_lab.reporting.estimate import Estimate
from emprune_lab.reporting.figures.style import FAINT, INK, colours, grid_lines, new_figure, styled, text_colours
from emprune_lab.reporting.formats import signed
from emprune_lab.reporting.statistics import Row, policy_order


@styled
def difference_figure(rows: Sequence[Row]) -> Figure:
    """Accuracy minus the reference's, seed by seed, with intervals: one panel a rate, one line a policy.

    All panels share one scale; a policy that lost far more than the others gained or lost is named at the
    edge, with its value beside an arrow.

    Args:
        rows: of one setting; those without a difference are left out.
    """
    shown = [row for row in rows if row.difference is not None]
    policies = policy_order(row.policy for row in shown)
    rates = sorted({row.prune_rate for row in shown})
    metric = shown[0].metric
    limits = _limits([row.difference for row in shown if row.difference is not None], metric.point)
    figure = new_figure(0.9 + 0.36 * len(policies))
    panels = figure.subplots(1, len(rates), sharex=True, sharey=True, squeeze=False)[0]
    for axes, rate in zip(panels, rates, strict=True):
        axes.axvline(0, color=INK, linewidth=1)
        for row in shown:
            if row.prune_rate == rate:
                _line(axes, policies.index(row.policy), row, colours(policies)[row.policy], limits)
        axes.set_title(f"prune rate {rate:g}", loc="left", fontweight="bold")
        axes.set_xlabel(f"{metric.words} minus {shown[0].reference}, {metric.difference_unit}")
        axes.set_yticks(range(len(policies)), policies)
        axes.set(ylim=(len(policies) - 0.5, -0.6), xlim=limits)
        axes.spines.left.set_visible(False)
        grid_lines(axes, "x")
    for label, policy in zip(panels[0].get_yticklabels(), policies, strict=True):
        label.set(color=text_colours(policies)[policy], fontweight="bold")
    return figure


def _limits(differences: Sequence[Estimate], point: float) -> tuple[float, float]:
    """Limits that hold zero and every difference, but for those above three points and four times the median one.

    An interval longer than that leaves the picture.
    """
    reach = max(4 * float(np.median([abs(one.value) for one in differences])), 3 * point)
    inside = [one for one in differences if abs(one.value) <= reach]
    low = min(0.0, *(one.value if one.low is None else max(one.low, -reach) for one in inside))
    high = max(0.0, *(one.value if one.high is None else min(one.high, reach) for one in inside))
    margin = 0.1 * max(high - low, 0.5 * point)
    return low - margin, high + margin


def _line(axes: Axes, height: int, row: Row, colour: str, limits: tuple[float, float]) -> None:
    difference = row.difference
    if difference is None:
        return
    said = signed(difference.value, row.metric.digits)
    if difference.value < limits[0] or difference.value > limits[1]:
        below = difference.value < limits[0]
        text = f"◂ {said}" if below else f"{said} ▸"
        axes.annotate(
            text, (0 if below else 1, height), xycoords=("axes fraction", "data"), color=colour, va="center",
            ha="left" if below else "right", xytext=(4 if below else -4, 0), textcoords="offset points",
        )  # fmt: skip
        return
    if difference.low is not None and difference.high is not None:
        axes.hlines(height, difference.low, difference.high, color=colour, linewidth=2.2)
    # Hollow: the interval holds zero, so the seeds do not tell the policy from the reference.
    fill = colour if difference.sign or difference.low is None else "white"
    axes.plot(
        difference.value, height, marker="o", markersize=7, markerfacecolor=fill, markeredgecolor=colour,
        markeredgewidth=1.6, linestyle="none",
    )  # fmt: skip
    axes.annotate(
        said, (difference.value, height), xytext=(0, 6), textcoords="offset points",
        ha="center", va="bottom", fontsize=8, color=FAINT, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
    )  # fmt: skip
