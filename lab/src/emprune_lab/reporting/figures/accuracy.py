"""Accuracy, or another measure, over the prune rate."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emprune_lab.records.metrics import Metric
from emprune_lab.reporting.costs import FULL
from emprune_lab.reporting.estimate import Estimate
from emprune_lab.reporting.figures.style import (
    FAINT,
    INK,
    colours,
    dashes,
    grid_lines,
    markers,
    new_figure,
    spread_apart,
    styled,
    text_colours,
)  # fmt: skip
from emprune_lab.reporting.statistics import Row, policy_order

_HEIGHT, _LABEL_INCHES = 4.6, 0.235
_FEW = 8
"""So many lines are told apart when they are all drawn alike."""


@styled
def accuracy_figure(rows: Sequence[Row]) -> Figure:
    """Accuracy in percent, or another measure, over prune rate, with intervals; full is a horizontal line.

    The axis is the realised rate, on which the policies of one nominal rate agree; those with a budget of their own
    are hollow marks at theirs, without a line. A policy far worse than all others leaves the picture,
    with its value beside an arrow: one collapse must not flatten the differences between the rest.

    Args:
        rows: of one setting.
    """
    policies = policy_order(row.policy for row in rows)
    ranked = [row for row in rows if row.ranked]
    lines = [policy for policy in policies if any(row.policy == policy for row in ranked)]
    figure = new_figure(max(_HEIGHT, 0.9 + _LABEL_INCHES * (len(lines) + 1)))
    axes = figure.add_subplot()
    metric = rows[0].metric
    limits = accuracy_limits([row.accuracy for row in rows], metric)
    places = _places(rows)
    realised = [row.cost.realised_rate for row in rows if row.policy != FULL]
    shifts = _shifts(lines, sorted(places.values()), max(realised) - min(realised))
    for policy in lines:
        _policy_line(axes, [row for row in ranked if row.policy == policy], policies, lines, shifts[policy])
    for row in rows:
        if row.policy == FULL:
            _full_line(axes, row.accuracy)
    _own_marks(axes, [row for row in rows if row.own_budget], policies)
    _rate_axis(axes, places, realised, shifts)
    axes.set(ylim=limits, ylabel=metric.axis)
    _collapsed(axes, ranked, policies, shifts)
    grid_lines(axes)
    ends = {row.policy: row.accuracy.value for row in rows if row.policy == FULL or row.ranked}
    gap = _LABEL_INCHES / (figure.get_figheight() - 0.8)
    _end_labels(axes, ends, limits, policies, gap, metric.digits - 1)
    return figure


def accuracy_limits(values: Sequence[Estimate], metric: Metric) -> tuple[float, float]:
    """Limits of a measure's axis that hold all but collapsed policies.

    Collapsed: six points worse than the best, and eight times as far as the median is.
    """
    if not metric.higher_is_better:
        turned = [Estimate(-one.value, _minus(one.high), _minus(one.low), one.spread, one.count) for one in values]
        low, high = _limits(turned, metric.point)
        return -high, -low
    return _limits(values, metric.point, 100.0 if metric.unit == "%" else float("inf"))


def off_axis(row: Row, limits: tuple[float, float]) -> str:
    """The value of a collapsed policy beside an arrow; "" for others."""
    value, digits = row.accuracy.value, row.metric.digits - 1
    if row.metric.higher_is_better:
        return f"↓ {value:.{digits}f}" if value < limits[0] else ""
    return f"↑ {value:.{digits}f}" if value > limits[1] else ""


def _minus(number: float | None) -> float | None:
    return None if number is None else -number


def _limits(values: Sequence[Estimate], point: float, most: float = float("inf")) -> tuple[float, float]:
    """Of a measure of which higher is better, and which is at most ``most``."""
    means = np.array([value.value for value in values])
    best = means.max()
    reach = max(8 * (best - np.median(means)), 6 * point)
    inside = [value for value in values if value.value >= best - reach]
    # A long interval, of two seeds say, may leave the picture: it must not flatten the means either.
    room = max(1.5 * float(np.ptp([value.value for value in inside])), 1.5 * point)
    lowest, highest = (pick(value.value for value in inside) for pick in (min, max))
    low = min(value.value if value.low is None else max(value.low, lowest - room) for value in inside)
    high = max(value.value if value.high is None else min(value.high, highest + room) for value in inside)
    margin = 0.08 * max(high - low, 0.5 * point)
    return low - margin, min(high + margin, max(most, highest + margin))


def _places(rows: Sequence[Row]) -> dict[float, float]:
    """Nominal rate → realised rate of the ranked policies."""
    return {row.prune_rate: row.cost.realised_rate for row in rows if row.ranked}


def _shifts(lines: Sequence[str], places: Sequence[float], span: float) -> dict[str, float]:
    """How far beside its rate each policy stands, so that intervals do not hide each other."""
    nearest = min(np.diff(places)) if len(places) > 1 else 0.5
    wanted = 0.06 / max(1, len(lines) - 1) if len(lines) <= _FEW else 0.022
    step = min(0.6 * nearest / max(1, len(lines)), wanted * (span or 0.5))
    return {policy: step * (position - (len(lines) - 1) / 2) for position, policy in enumerate(lines)}


def _policy_line(
    axes: Axes, own: Sequence[Row], policies: Sequence[str], lines: Sequence[str], shift: float
) -> None:  # fmt: skip
    policy, many = own[0].policy, len(lines) > _FEW
    colour = colours(policies)[policy]
    rates = [row.cost.realised_rate + shift for row in own]
    means = [row.accuracy.value for row in own]
    # Where there are many, the lines step back behind the marks.
    axes.plot(
        rates, means, color=colour, linewidth=0.9 if many else 1.8, alpha=0.45 if many else 1, zorder=2,
        linestyle=dashes(policies)[policy],
    )  # fmt: skip
    axes.plot(rates, means, color=colour, marker=markers(policies)[policy], markersize=5.5, linestyle="none", zorder=3)
    for rate, row in zip(rates, own, strict=True):
        if row.accuracy.low is not None and row.accuracy.high is not None:
            axes.vlines(
                rate, row.accuracy.low, row.accuracy.high, color=colour, linewidth=1.4, alpha=0.8, zorder=2
            )  # fmt: skip


def _collapsed(axes: Axes, rows: Sequence[Row], policies: Sequence[str], shifts: Mapping[str, float]) -> None:
    """The values off the axis, each at a height of its own: several may have collapsed."""
    for height, row in enumerate(row for row in rows if off_axis(row, axes.get_ylim())):
        side = row.metric.sign
        axes.annotate(
            off_axis(row, axes.get_ylim()), (row.cost.realised_rate + shifts[row.policy], 0 if side > 0 else 1),
            xycoords=("data", "axes fraction"), xytext=(0, side * (4 + 12 * (height % 10))),
            textcoords="offset points", color=text_colours(policies)[row.policy], ha="center",
            va="bottom" if side > 0 else "top", zorder=5, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip


def _full_line(axes: Axes, value: Estimate) -> None:
    axes.axhline(value.value, color=INK, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
    if value.low is not None and value.high is not None:
        axes.axhspan(value.low, value.high, color=INK, alpha=0.07, linewidth=0, zorder=0)


def _own_marks(axes: Axes, rows: Sequence[Row], policies: Sequence[str]) -> None:
    """Hollow marks, named in a legend: they belong to no rate, so they have no place at the right end."""
    sides = itertools.cycle([("left", 7), ("right", -7)])
    for policy, (side, distance) in zip(dict.fromkeys(row.policy for row in rows), sides, strict=False):
        own = [row for row in rows if row.policy == policy]
        axes.plot(
            [row.cost.realised_rate for row in own], [row.accuracy.value for row in own], linestyle="none",
            marker=markers(policies)[policy], markersize=7, markerfacecolor="white",
            markeredgecolor=colours(policies)[policy], markeredgewidth=1.6, zorder=4, label=f"{policy}, own budget",
        )  # fmt: skip
        for row in own:
            axes.annotate(
                f"asked for {row.prune_rate:g}", (row.cost.realised_rate, row.accuracy.value), xytext=(distance, 0),
                textcoords="offset points", color=FAINT, fontsize=7.5, va="center", ha=side,
            )  # fmt: skip
    if rows:
        axes.legend(loc="lower left")


def _rate_axis(
    axes: Axes, places: Mapping[float, float], realised: Sequence[float], shifts: Mapping[str, float]
) -> None:
    low, high = min(realised), max(realised)
    margin = 0.1 * (high - low) if high > low else 0.1
    widest = max(map(abs, shifts.values()), default=0.0)
    axes.set_xlim(low - max(margin, 1.3 * widest), high + max(margin, 1.3 * widest))
    axes.set_xlabel("prune rate: fraction of the samples left out of an epoch")
    labels = [
        f"{rate:g}" if abs(rate - place) < 0.005 else f"{rate:g}\n({place:.3g} of the run)"
        for rate, place in places.items()
    ]
    if places:
        axes.set_xticks(list(places.values()), labels)


def _end_labels(
    axes: Axes,
    ends: Mapping[str, float],
    limits: tuple[float, float],
    policies: Sequence[str],
    gap: float,
    digits: int,
) -> None:
    """Name each line at its right end, with its mark; labels are moved apart where lines meet."""
    low, high = limits
    heights = [(value - low) / (high - low) for value in ends.values()]
    placed = spread_apart(heights, gap, 0.02, 0.98)
    for (policy, value), height in zip(ends.items(), placed, strict=True):
        axes.plot(
            1.016, height, transform=axes.transAxes, clip_on=False, marker=markers(policies)[policy], markersize=5.5,
            color=colours(policies)[policy], linestyle="none",
        )  # fmt: skip
        axes.annotate(
            f"{policy}  {value:.{digits}f}", (1.016, height), xycoords="axes fraction", xytext=(8, 0),
            textcoords="offset points", color=text_colours(policies)[policy], va="center", fontweight="bold",
            annotation_clip=False,
        )  # fmt: skip
