"""What all figures share: colours, type, the size of the report's column, and PNG bytes."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from emprune.lab.reporting.statistics import policy_order
from emprune.lab.results import Samples

Runs = Mapping[tuple[str, float], Sequence[Samples]]
"""(policy, prune rate) → the per-sample arrays of its seeds."""

P = ParamSpec("P")

WIDTH = 10.0
"""Inches; 96 dots each in the report, so that a size of 9 points reads like the text."""
INK, FAINT, GRID = "#222222", "#767676", "#e4e4e4"
_DPI = 192

# Okabe & Ito (2008): told apart under every common colour vision deficiency.
_NAMED = {
    "full": "#222222",
    "short": "#8a8a8a",
    "random": "#56b4e9",
    "lfl": "#d55e00",
    "infobatch": "#009e73",
    "emp": "#0072b2",
    "static-random": "#b5b5b5",
    "rs2": "#cc79a7",
}
_FREE = ["#e69f00", "#cc79a7", "#882255", "#999933", "#332288", "#44aa99"]
_NAMED_MARKERS = {"full": "*", "short": "s", "random": "o", "lfl": "D", "infobatch": "^", "emp": "v"}
_FREE_MARKERS = ["P", "X", "<", ">", "h", "p", "d"]

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
    taken = [_NAMED[policy] for policy in policies if policy in _NAMED]
    free = [colour for colour in _FREE if colour not in taken] or _FREE
    unnamed = [policy for policy in policies if policy not in _NAMED]
    others = {policy: free[position % len(free)] for position, policy in enumerate(unnamed)}
    return {policy: _NAMED.get(policy) or others[policy] for policy in policies}


def markers(policies: Sequence[str]) -> dict[str, str]:
    """A marker for each policy, for readers who do not go by colour; the same in all figures."""
    unnamed = [policy for policy in policies if policy not in _NAMED_MARKERS]
    others = {policy: _FREE_MARKERS[position % len(_FREE_MARKERS)] for position, policy in enumerate(unnamed)}
    return {policy: _NAMED_MARKERS.get(policy) or others[policy] for policy in policies}


def text_colours(policies: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """The policies' colours, dark enough for letters on white."""
    return {policy: tuple(0.72 * part for part in to_rgb(colour)) for policy, colour in colours(policies).items()}


def policies_of(runs: Runs, leave_out: Sequence[str] = ()) -> list[str]:
    """The policies of runs, in the report's order."""
    return [policy for policy in policy_order(policy for policy, _ in runs) if policy not in leave_out]


def rates_of(runs: Runs, leave_out: Sequence[str] = ()) -> list[float]:
    """The prune rates of runs, ascending."""
    return sorted({rate for policy, rate in runs if policy not in leave_out})


def grid_lines(axes: Axes, axis: str = "y") -> None:
    """Faint lines behind the data."""
    axes.grid(True, axis=axis, color=GRID, linewidth=0.8)  # type: ignore[arg-type]
    axes.tick_params(length=0)


def spread_apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move label positions apart until ``gap`` lies between neighbours, within [low, high] where it fits.

    >>> [round(position, 2) for position in spread_apart([0.5, 0.52, 0.9], gap=0.1, low=0, high=1)]
    [0.5, 0.6, 0.9]
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = [0.0] * len(wanted)
    floor = low
    for index in order:
        placed[index] = max(wanted[index], floor)
        floor = placed[index] + gap
    ceiling = high
    for index in reversed(order):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed
