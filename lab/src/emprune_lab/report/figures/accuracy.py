"""The metric value over the prune rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emprune_lab.report.axes import LABEL_INCHES, metric_limits, name_ends, policy_marks
from emprune_lab.report.comparison import Comparison
from emprune_lab.report.costs import FULL
from emprune_lab.report.figure import ReportFigure
from emprune_lab.report.palette import looks
from emprune_lab.report.statistics import Row, policy_order
from emprune_lab.report.style import INK, grid_lines, new_figure

_HEIGHT = 4.6
_FEW = 8
"""So many lines are told apart when they are drawn broad."""


def draw(comparison: Comparison) -> Figure:
    """The metric over the realised rate, on which the policies of one nominal rate agree; full is a horizontal line."""
    rows = comparison.rated
    policies = policy_order(row.policy for row in rows)
    look, metric = looks(policies), rows[0].metric
    ranked, own = [row for row in rows if row.ranked], [row for row in rows if row.own_budget]
    lines = [policy for policy in policies if any(row.policy == policy for row in ranked)]
    figure = new_figure(max(_HEIGHT, 0.9 + LABEL_INCHES * (len(lines) + 1)))
    axes = figure.add_subplot()
    axes.set(ylim=metric_limits([row.mean for row in rows], metric), ylabel=metric.axis)
    shifts = _rate_axis(axes, rows, lines)
    policy_marks(axes, own, look, lambda row: row.cost.realised_rate)
    if own:
        axes.legend(loc="center left", title="own budget")
    policy_marks(
        axes, ranked, look, lambda row: row.cost.realised_rate + shifts[row.policy], 1.8 if len(lines) <= _FEW else 0.9
    )
    for row in ranked:
        axes.vlines(
            row.cost.realised_rate + shifts[row.policy], *row.mean.ends, color=look[row.policy].colour, linewidth=1.4,
            alpha=0.8, zorder=2,
        )  # fmt: skip
    for row in rows:
        if row.policy == FULL:
            axes.axhline(row.mean.value, color=INK, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
            axes.axhspan(*row.mean.ends, color=INK, alpha=0.07, linewidth=0, zorder=0)
    grid_lines(axes)
    ends = {row.policy: row.mean.value for row in rows if not row.own_budget}
    name_ends(axes, ends, look, LABEL_INCHES / (figure.get_figheight() - 0.8), metric.digits)
    return figure


def _rate_axis(axes: Axes, rows: Sequence[Row], lines: Sequence[str]) -> dict[str, float]:
    """Label the axis with the nominal rates.

    Returns:
        How far beside its rate each policy stands, so that intervals do not hide each other.
    """
    places = {row.prune_rate: row.cost.realised_rate for row in rows if row.ranked}
    realised = [row.cost.realised_rate for row in rows if row.policy != FULL]
    low, span = min(realised), float(np.ptp(realised)) or 0.5
    nearest = min(np.diff(sorted(places.values())), default=span)
    reach = min(0.6 * nearest, 0.015 * span * len(lines)) / 2
    margin = max(0.1 * span, 1.3 * reach)
    axes.set_xlim(low - margin, max(realised) + margin)
    axes.set_xlabel("prune rate: fraction of the samples left out of an epoch")
    labels = [
        f"{rate:g}" if abs(rate - place) < 0.005 else f"{rate:g}\n({place:.3g} of the run)"
        for rate, place in places.items()
    ]
    if places:
        axes.set_xticks(list(places.values()), labels)
    return dict(zip(lines, np.linspace(-reach, reach, len(lines)), strict=True))


FIGURE = ReportFigure(
    name="accuracy",
    title="Metric value over prune rate",
    caption="Means over the seeds; vertical bars are 95 % intervals, and one that leaves the picture is longer. The "
    "broken line is training on all the data. The points of one rate stand side by side and cost the same number of "
    "training samples, not counting what the run behind a static score trained before. Hollow marks: rules with a "
    "budget of their own, at the rate that this came to. The numbers on the right are those of the highest rate. An "
    "arrow marks a value off the axis.",
    draw=draw,
    applies=lambda comparison: comparison.pruned,
    order=10,
)
