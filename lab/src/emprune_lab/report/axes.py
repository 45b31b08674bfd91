"""Axes that several figures share: limits that hold what matters, names at the end of lines, one legend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from emprune_lab.records.metrics import Metric
from emprune_lab.report.costs import FULL
from emprune_lab.report.intervals import Estimate
from emprune_lab.report.palette import Look
from emprune_lab.report.statistics import Row

LABEL_INCHES = 0.235
"""Height of a name at the end of a line."""
LEGEND_INCHES = 0.2
"""Height of a line of a legend."""


def shared_legend(figure: Figure, panels: Iterable[Axes], columns: int = 6) -> None:
    """One legend under all panels, each label once, in as many columns as fit; the figure grows by its lines."""
    found = [panel.get_legend_handles_labels() for panel in panels]
    named = {label: handle for handles, labels in found for handle, label in zip(handles, labels, strict=True)}
    renderer: Any = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    width = figure.bbox.width
    for most in range(columns, 0, -1):
        lines = -(-len(named) // most)
        legend = figure.legend(
            list(named.values()), list(named), loc="outside lower center", ncols=-(-len(named) // lines),
            handlelength=2.6,
        )  # fmt: skip
        if legend.get_window_extent(renderer).width <= width:
            break
        if most > 1:
            legend.remove()
    figure.set_figheight(figure.get_figheight() + LEGEND_INCHES * lines)


def name_ends(axes: Axes, ends: Mapping[str, float], look: Mapping[str, Look], gap: float, digits: int) -> None:
    """Name each policy at the right, with its mark, at the height where it ends; names that would meet are moved apart.

    Args:
        ends: policy → value.
        look: policy → its look.
        digits: decimals of the values.
        gap: least distance of two names, as a fraction of the height of the axes.
    """
    low, high = axes.get_ylim()
    heights = [(value - low) / (high - low) for value in ends.values()]
    for (policy, value), height in zip(ends.items(), spread_apart(heights, gap, 0.02, 0.98), strict=True):
        axes.plot(
            1.016, height, transform=axes.transAxes, clip_on=False, marker=look[policy].marker, markersize=5.5,
            color=look[policy].colour, linestyle="none",
        )  # fmt: skip
        axes.annotate(
            f"{policy}  {value:.{digits}f}", (1.016, height), xycoords="axes fraction", xytext=(8, 0),
            textcoords="offset points", color=look[policy].ink, va="center", fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def spread_apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move label positions apart until ``gap`` lies between neighbours, within [low, high] where it fits.

    Labels that meet move to both sides of their mean (isotonic regression).

    >>> [round(position, 2) for position in spread_apart([0.5, 0.52, 0.9], gap=0.1, low=0, high=1)]
    [0.46, 0.56, 0.9]
    """
    order = np.argsort(wanted, kind="stable")
    gaps = gap * np.arange(len(order))
    free = isotonic_regression(np.asarray(wanted)[order] - gaps).x
    placed = np.empty(len(order))
    placed[order] = np.maximum(np.minimum(free, high - gap * (len(order) - 1)), low) + gaps
    return [float(position) for position in placed]


def metric_limits(values: Sequence[Estimate], metric: Metric) -> tuple[float, float]:
    """Limits of a metric's axis that hold all but collapsed policies, whose values :func:`off_axis` has.

    Collapsed: six points worse than the best, and eight times as far as the median is. A long interval, of two seeds
    say, may leave the picture too: neither must flatten the differences between the rest.
    """
    means = metric.sign * np.array([one.value for one in values])
    best = means.max()
    inside = means >= best - max(8 * (best - np.median(means)), 6 * metric.point)
    ends = metric.sign * np.array([one.ends for one in values])[inside]
    lowest, highest = means[inside].min(), means[inside].max()
    room = 1.5 * max(highest - lowest, metric.point)
    low, high = max(ends.min(), lowest - room), min(ends.max(), highest + room)
    margin = 0.08 * max(high - low, 0.5 * metric.point)
    most = 100.0 if metric.unit == "%" and metric.higher_is_better else np.inf
    limits = sorted(float(metric.sign * end) for end in (low - margin, min(high + margin, max(most, highest + margin))))
    return limits[0], limits[1]


def policy_marks(
    axes: Axes, rows: Sequence[Row], look: Mapping[str, Look], place: Callable[[Row], float], linewidth: float = 0.9
) -> None:
    """A mark a policy and rate, those of one policy joined; hollow and not joined where its budget is its own.

    Values off the axis stand at its edge, each at a height of its own: several may have collapsed.

    Args:
        look: policy → its look, in the order of the legend.
        place: where a row stands on the x axis.
    """
    for policy in (policy for policy in look if any(row.policy == policy for row in rows)):
        own = sorted((row for row in rows if row.policy == policy), key=place)
        colour, hollow = look[policy].colour, own[0].own_budget
        axes.plot(
            [place(row) for row in own], [row.mean.value for row in own], color=colour, linewidth=linewidth,
            linestyle="none" if hollow else look[policy].dashes, marker=look[policy].marker,
            markersize=10 if policy == FULL else 6, markerfacecolor="white" if hollow else colour,
            markeredgecolor=colour if hollow else "white", markeredgewidth=1.4 if hollow else 0.5,
            label=policy, zorder=3,
        )  # fmt: skip
    for height, row in enumerate(row for row in rows if off_axis(row, axes.get_ylim())):
        side = row.metric.sign
        axes.annotate(
            off_axis(row, axes.get_ylim()), (place(row), 0 if side > 0 else 1), xycoords=("data", "axes fraction"),
            xytext=(0, side * (4 + 12 * (height % 10))), textcoords="offset points", color=look[row.policy].ink,
            ha="center", va="bottom" if side > 0 else "top", zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip


def off_axis(row: Row, limits: tuple[float, float]) -> str:
    """The value of a collapsed policy beside an arrow; "" for others."""
    value, digits = row.mean.value, row.metric.digits
    if row.metric.higher_is_better:
        return f"↓ {value:.{digits}f}" if value < limits[0] else ""
    return f"↑ {value:.{digits}f}" if value > limits[1] else ""
