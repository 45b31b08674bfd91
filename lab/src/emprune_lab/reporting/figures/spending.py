"""Accuracy, or another measure, over what it cost: wall-clock time and samples trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from emprune_lab.reporting.costs import FULL
from emprune_lab.reporting.figures.accuracy import accuracy_limits, off_axis
from emprune_lab.reporting.figures.style import colours, dashes, grid_lines, markers, new_figure, styled
from emprune_lab.reporting.statistics import Row, policy_order
from emprune_lab.specs.spec import SHORT

_COLUMNS = 6


def one_machine(rows: Sequence[Row]) -> bool:
    """Whether all runs were on the same machine, so that their seconds can be compared."""
    return len(frozenset().union(*(row.cost.machines for row in rows))) == 1


@styled
def spending_figure(rows: Sequence[Row]) -> Figure:
    """Accuracy over seconds and over samples trained, scoring and selecting included, both on logarithmic axes.

    Every policy and rate is a mark, means over seeds; a thin line joins the rates of a policy, a broad one those of
    ``short`` with ``full``: what plain training buys for the same cost. Marks of policies with a budget of their
    own are hollow. Without the panel of seconds where the runs were on different machines.

    Args:
        rows: of one setting.
    """
    policies = policy_order(row.policy for row in rows)
    figure = new_figure(4.3 + 0.2 * -(-len(policies) // _COLUMNS))
    costs: dict[str, Callable[[Row], float]] = {
        "seconds: training, scoring and selecting": lambda row: row.cost.seconds
    } if one_machine(rows) else {}  # fmt: skip
    costs["samples trained"] = lambda row: row.cost.samples_trained
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    limits = accuracy_limits([row.accuracy for row in rows], rows[0].metric)
    for axes, (name, cost) in zip(panels, costs.items(), strict=True):
        _panel(axes, rows, policies, cost, limits)
        axes.set_xlabel(name)
    # The budgets themselves are the ticks that matter.
    panels[-1].set_xticks(sorted({row.cost.samples_backward for row in rows if not row.own_budget}))
    panels[0].set_ylabel(rows[0].metric.axis)
    handles, labels = panels[0].get_legend_handles_labels()
    columns = -(-len(labels) // -(-len(labels) // _COLUMNS))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=2.6)
    return figure


def _panel(
    axes: Axes, rows: Sequence[Row], policies: Sequence[str], cost: Callable[[Row], float], limits: tuple[float, float]
) -> None:
    _plain_training(axes, rows, cost)
    for policy in policies:
        own = sorted((row for row in rows if row.policy == policy), key=cost)
        colour, hollow = colours(policies)[policy], own[0].own_budget
        axes.plot(
            [cost(row) for row in own], [row.accuracy.value for row in own], color=colour, linewidth=0.9,
            linestyle="none" if hollow else dashes(policies)[policy], marker=markers(policies)[policy],
            markersize=10 if policy == FULL else 6, markerfacecolor="white" if hollow else colour,
            markeredgecolor=colour if hollow else "white", markeredgewidth=1.4 if hollow else 0.5,
            label=f"{policy}, own budget" if hollow else policy, zorder=3,
        )  # fmt: skip
        for row in own:
            if off_axis(row, limits):
                side = row.metric.sign
                axes.annotate(
                    off_axis(row, limits), (cost(row), 0 if side > 0 else 1), xycoords=("data", "axes fraction"),
                    xytext=(0, 4 * side), textcoords="offset points", color=colour, ha="center",
                    va="bottom" if side > 0 else "top", fontsize=8,
                )  # fmt: skip
    axes.set(xscale="log", ylim=limits)
    axes.margins(x=0.09)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5), numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.10g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    grid_lines(axes, "both")


def _plain_training(axes: Axes, rows: Sequence[Row], cost: Callable[[Row], float]) -> None:
    plain = sorted((row for row in rows if row.policy in (FULL, SHORT)), key=cost)
    axes.plot(
        [cost(row) for row in plain], [row.accuracy.value for row in plain], color="#c9c9c9", linewidth=5, alpha=0.6,
        solid_capstyle="round", zorder=1,
    )  # fmt: skip
