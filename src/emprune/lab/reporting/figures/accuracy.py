"""Accuracy over the prune rate, and what each policy gains on random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emprune.lab.reporting.bootstrap import Estimate
from emprune.lab.reporting.figures.style import (
    INK,
    colours,
    grid_lines,
    markers,
    new_figure,
    spread_apart,
    styled,
    text_colours,
)  # fmt: skip
from emprune.lab.reporting.statistics import FULL, Row, policy_order

_LABEL_GAP = 0.062


@styled
def accuracy_figure(rows: Sequence[Row]) -> Figure:
    """Accuracy in percent over prune rate, one line a policy with its intervals, full as a horizontal line.

    A policy far below all others leaves the picture through the bottom, with its value beside an arrow:
    one collapse must not flatten the differences between the rest.

    Args:
        rows: of one setting.
    """
    figure = new_figure(4.6)
    axes = figure.add_subplot()
    policies = policy_order(row.policy for row in rows if row.policy != FULL)
    rates = sorted({row.prune_rate for row in rows if row.policy != FULL})
    low, high = _limits([row.accuracy for row in rows])
    # Policies stand side by side at a rate, so that their intervals do not hide each other.
    step = 0.06 * (rates[-1] - rates[0] if len(rates) > 1 else 0.5) / max(1, len(policies) - 1)
    ends: dict[str, float] = {}
    for position, policy in enumerate(policies):
        own = [row for row in rows if row.policy == policy]
        shifted = [row.prune_rate + step * (position - (len(policies) - 1) / 2) for row in own]
        _policy_line(axes, policy, policies, shifted, [row.accuracy for row in own], low)
        ends[policy] = own[-1].accuracy.value
    for row in rows:
        if row.policy == FULL:
            _full_line(axes, row.accuracy)
            ends[FULL] = row.accuracy.value
    margin = 0.08 * (rates[-1] - rates[0]) if len(rates) > 1 else 0.1
    axes.set(xlim=(rates[0] - margin, rates[-1] + margin), ylim=(low, high), ylabel="accuracy, %")
    axes.set_xlabel("prune rate: fraction of the samples left out of an epoch")
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    grid_lines(axes)
    _end_labels(axes, ends, (low, high))
    return figure


def _policy_line(
    axes: Axes, policy: str, policies: Sequence[str], rates: Sequence[float], values: Sequence[Estimate], low: float
) -> None:
    colour = colours(policies)[policy]
    means = [value.value for value in values]
    axes.plot(rates, means, color=colour, linewidth=1.8, marker=markers(policies)[policy], markersize=5.5)
    for rate, value in zip(rates, values, strict=True):
        if value.low is not None and value.high is not None:
            axes.vlines(rate, value.low, value.high, color=colour, linewidth=1.4, alpha=0.8)
        if value.value < low:
            # Each policy at a height of its own: several may have collapsed.
            axes.annotate(
                f"↓ {value.value:.1f}", (rate, 0), xycoords=("data", "axes fraction"),
                xytext=(0, 4 + 12 * policies.index(policy)),
                textcoords="offset points", color=text_colours(policies)[policy], ha="center", va="bottom",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
            )  # fmt: skip


def _full_line(axes: Axes, value: Estimate) -> None:
    axes.axhline(value.value, color=INK, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
    if value.low is not None and value.high is not None:
        axes.axhspan(value.low, value.high, color=INK, alpha=0.07, linewidth=0, zorder=0)


def _end_labels(axes: Axes, ends: dict[str, float], limits: tuple[float, float]) -> None:
    """Name each line at its right end; labels are moved apart where lines meet."""
    (low, high), tints = limits, text_colours(list(ends))
    heights = [(value - low) / (high - low) for value in ends.values()]
    placed = spread_apart(heights, _LABEL_GAP, 0.02, 0.98)
    for (policy, value), height in zip(ends.items(), placed, strict=True):
        axes.annotate(
            f"{policy}  {value:.1f}", (1, height), xycoords="axes fraction", xytext=(8, 0),
            textcoords="offset points", color=tints[policy], va="center", fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def _limits(values: Sequence[Estimate]) -> tuple[float, float]:
    """Limits of the accuracy axis that hold all but collapsed policies.

    Collapsed: six points below the best, and eight times as far as the median is.
    """
    means = np.array([value.value for value in values])
    best = means.max()
    reach = max(8 * (best - np.median(means)), 6.0)
    inside = [value for value in values if value.value >= best - reach]
    low = min(value.value if value.low is None else value.low for value in inside)
    high = max(value.value if value.high is None else value.high for value in inside)
    margin = 0.08 * max(high - low, 0.5)
    return low - margin, high + margin
