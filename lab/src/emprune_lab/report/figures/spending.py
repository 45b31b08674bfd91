"""The metric value over what it cost: wall-clock time and samples trained."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from emprune_lab.report.axes import metric_limits, policy_marks, shared_legend
from emprune_lab.report.comparison import Comparison
from emprune_lab.report.costs import PLAIN
from emprune_lab.report.figure import ReportFigure
from emprune_lab.report.palette import looks
from emprune_lab.report.statistics import Row, policy_order
from emprune_lab.report.style import grid_lines, new_figure


def draw(comparison: Comparison) -> Figure:
    """The metric over seconds and over samples trained, every policy and rate a mark."""
    rows = comparison.rows
    policies = policy_order(row.policy for row in rows)
    figure = new_figure(4.3)
    costs: dict[str, Callable[[Row], float]] = {"samples trained": lambda row: row.cost.samples_trained}
    if comparison.one_machine:
        costs = {"seconds: training, scoring and selecting": lambda row: row.cost.seconds, **costs}
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    for axes, (name, cost) in zip(panels, costs.items(), strict=True):
        axes.set_ylim(metric_limits([row.mean for row in rows], rows[0].metric))
        plain = sorted((row for row in rows if row.policy in PLAIN), key=cost)
        axes.plot(
            [cost(row) for row in plain], [row.mean.value for row in plain], color="#c9c9c9", linewidth=5, alpha=0.6,
            solid_capstyle="round", zorder=1,
        )  # fmt: skip
        policy_marks(axes, rows, looks(policies), cost)
        _cost_axis(axes, name)
    # The budgets themselves are the ticks that matter.
    panels[-1].set_xticks(sorted({row.cost.samples_backward for row in comparison.rated if not row.own_budget}))
    panels[0].set_ylabel(rows[0].metric.axis)
    shared_legend(figure, panels)
    return figure


def _cost_axis(axes: Axes, name: str) -> None:
    axes.set(xscale="log", xlabel=name)
    axes.margins(x=0.09)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5), numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.10g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    grid_lines(axes, "both")


FIGURE = ReportFigure(
    name="spending",
    title="Metric value over time and samples",
    caption="Means over the seeds, every policy at every rate; the horizontal axes are logarithmic. Seconds are "
    "wall-clock: training, scoring and selecting; they are left out where the runs were on different machines, and "
    "runs at the same time on one machine slow each other down. Samples are those that went through backward, those of "
    "the run behind a static score included. The broad grey line joins short and full: what plain training buys at "
    "that cost. Hollow: rules with a budget of their own. An arrow marks a value off the axis.",
    draw=draw,
    applies=lambda comparison: comparison.pruned,
    order=30,
)
