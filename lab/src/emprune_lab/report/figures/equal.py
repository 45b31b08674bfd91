"""What the samples of each policy are worth in plain training, over the prune rate."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from emprune_lab.report.axes import shared_legend
from emprune_lab.report.comparison import Comparison, shown_of
from emprune_lab.report.costs import PLAIN
from emprune_lab.report.equal import SpeedUp
from emprune_lab.report.figure import ReportFigure
from emprune_lab.report.palette import Look, looks
from emprune_lab.report.statistics import Row, policy_order
from emprune_lab.report.style import FAINT, INK, grid_lines, new_figure

_MOST = 8
_ROOM = 1.2
"""Factor above and below, for the arrows."""
_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def draw(comparison: Comparison) -> Figure:
    """A mark with its interval for each policy, side by side at each rate; the axis of speed-ups is logarithmic."""
    rows = _rows(comparison)
    policies = shown_of(policy_order(row.policy for row in rows), _MOST)
    rows, look = [row for row in rows if row.policy in policies], looks(policies)
    rates = sorted({row.prune_rate for row in rows})
    figure = new_figure(4.2)
    axes = figure.add_subplot()
    axes.axhline(1, color=INK, linewidth=1, zorder=1)
    _reach(axes, rows, comparison)
    reach = min(0.28, 0.06 * (len(policies) - 1))
    for place, policy in zip(np.linspace(-reach, reach, len(policies)), policies, strict=True):
        _dot(axes, [], [], look[policy], True, policy)
        for row in rows:
            if row.policy == policy and row.speed_up:
                _mark(axes, rates.index(row.prune_rate) + place, row.speed_up, look[policy])
    axes.set(yscale="log", xlim=(-0.5, len(rates) - 0.5), ylabel=f"speed-up at equal {rows[0].metric.words}")
    axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    axes.set_xlabel("prune rate")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low / _ROOM, 0.45), max(high * _ROOM, 2.2))
    axes.yaxis.set_major_locator(FixedLocator(_TICKS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    grid_lines(axes)
    shared_legend(figure, [axes])
    return figure


def _rows(comparison: Comparison) -> list[Row]:
    return [row for row in comparison.rated if row.ranked and row.speed_up]


def _reach(axes: Axes, rows: list[Row], comparison: Comparison) -> None:
    """The longest plain run over a pruned one's samples: what a policy as good as it would be worth."""
    plain = [row for row in comparison.rows if row.policy in PLAIN]
    longest = max(plain, key=lambda row: row.cost.samples_backward)
    budgets = {row.prune_rate: row.cost.samples_backward for row in rows}
    for place, rate in enumerate(sorted(budgets)):
        most = longest.cost.samples_backward / budgets[rate]
        axes.hlines(most, place - 0.42, place + 0.42, color=FAINT, linewidth=1, linestyle=(0, (5, 3)), zorder=1)
        axes.annotate(
            f"{longest.policy} {most:.3g}", (place + 0.42, most), xytext=(0, 3), textcoords="offset points", ha="right",
            va="bottom", color=FAINT, fontsize=8,
        )  # fmt: skip


def _mark(axes: Axes, place: float, found: SpeedUp, look: Look) -> None:
    """Filled where significantly above or below one; arrows where it or its interval reaches beyond the plain runs."""
    if found.low is not None and found.high is not None:
        axes.vlines(place, found.low, found.high, color=look.colour, linewidth=1.8, zorder=2)
    for end, bound in {(found.low, found.low_bound), (found.high, found.high_bound), (found.value, found.bound)}:
        if bound and end is not None:
            axes.annotate(
                "", (place, end), (0, 20 if bound == "≥" else -20), textcoords="offset points", zorder=2,
                arrowprops={"arrowstyle": "<-", "color": look.colour, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0},
            )  # fmt: skip
    _dot(axes, [place], [found.value], look, found.sign != 0 or found.low is None, "_")


def _dot(axes: Axes, x: list[float], y: list[float], look: Look, filled: bool, label: str) -> None:
    axes.plot(
        x, y, marker=look.marker, markersize=7, linestyle="none", markeredgecolor=look.colour,
        markerfacecolor=look.colour if filled else "white", markeredgewidth=1.4, label=label, zorder=3,
    )  # fmt: skip


FIGURE = ReportFigure(
    name="equal",
    title="Speed-up at equal metric value",
    caption="Samples that plain training on all the data, in fewer epochs, needs for the mean metric value of the "
    "policy, over those that the policy trained, scoring runs included; above one the policy is ahead. Bars: 95 % "
    "intervals, from three seeds on; a filled mark is significantly different from one or has no interval, a hollow "
    "one is not. Arrows: it reaches beyond the longest (up) or the shortest (down) plain run, where "
    f"nothing is claimed. Broken lines: the worth of a policy as good as full. Of many policies {_MOST} are shown.",
    draw=draw,
    applies=lambda comparison: bool(_rows(comparison)),
    order=25,
)
