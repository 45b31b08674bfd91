"""What all figures share: colours, type, the size of the report's column, and PNG bytes."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from emprune_lab.reporting.figures.palette import looks

P = ParamSpec("P")

WIDTH = 10.0
"""Inches; 96 dots each in the report, so that a size of 9 points reads like the text."""
INK, FAINT, GRID = "#222222", "#767676", "#e4e4e4"
_DPI = 192

_STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so a report looks the same everywhere
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9a9a9a",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": "#9a9a9a",
    "ytick.color": "#9a9a9a",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "hatch.linewidth": 0.6,
}


def styled(build: Callable[P, Figure]) -> Callable[P, Figure]:
    """Build a figure under the report's style, and leave the process's settings as they were."""

    @functools.wraps(build)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            return build(*args, **kwargs)

    return wrapper


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of the report's width; sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def png(figure: Figure) -> bytes:
    """Render as PNG with the Agg backend."""
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        # No creation date or version inside, so that the same runs give the same bytes.
        figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def colours(policies: Sequence[str]) -> dict[str, str]:
    """A colour for each policy: its own where it has one, so that all figures and reports agree.

    >>> colours(["emp", "mine"])
    {'emp': '#0072b2', 'mine': '#e69f00'}
    """
    return {policy: look.colour for policy, look in looks(policies).items()}


def markers(policies: Sequence[str]) -> dict[str, str]:
    """A marker for each policy, for readers who do not go by colour; the same in all figures."""
    return {policy: look.marker for policy, look in looks(policies).items()}


def dashes(policies: Sequence[str]) -> dict[str, Any]:
    """A line style for each policy: broken for static subsets, dotted for in-batch policies."""
    return {policy: look.dashes for policy, look in looks(policies).items()}


def text_colours(policies: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """The policies' colours, dark enough for letters on white."""
    return {policy: tuple(0.72 * part for part in to_rgb(colour)) for policy, colour in colours(policies).items()}


def grid_lines(axes: Axes, axis: str = "y") -> None:
    """Faint lines behind the data."""
    axes.grid(True, axis=axis, color=GRID, linewidth=0.8)  # type: ignore[arg-type]
    axes.tick_params(length=0)


def spread_apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move label positions apart until ``gap`` lies between neighbours, within [low, high] where it fits.

    Labels that meet move to both sides of their mean (isotonic regression by pooling adjacent violators).

    >>> [round(position, 2) for position in spread_apart([0.5, 0.52, 0.9], gap=0.1, low=0, high=1)]
    [0.46, 0.56, 0.9]
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    pools: list[list[float]] = []
    for rank, index in enumerate(order):
        pools.append([wanted[index] - rank * gap])
        while len(pools) > 1 and mean(pools[-2]) > mean(pools[-1]):
            last = pools.pop()
            pools[-1].extend(last)
    # Lowest positions once the gaps are added again; the highest that fits bounds all of them.
    free = [mean(pool) for pool in pools for _ in pool]
    placed = [0.0] * len(wanted)
    for rank, index in enumerate(order):
        placed[index] = max(min(free[rank], high - (len(order) - 1) * gap), low) + rank * gap
    return placed
