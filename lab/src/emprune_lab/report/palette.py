"""What each policy looks like: a colour, a marker and a line, the same in all figures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex, to_rgb
from matplotlib.markers import MarkerStyle

SOLID, BROKEN, DOTTED = "-", (0, (5, 2)), (0, (1.5, 1.5))


@dataclass(frozen=True)
class Look:
    """Colour as #rrggbb, marker and line style of matplotlib."""

    colour: str
    marker: str
    dashes: Any = SOLID

    @property
    def ink(self) -> tuple[float, ...]:
        """The colour, dark enough for letters on white."""
        return tuple(0.72 * part for part in to_rgb(self.colour))


# Okabe & Ito (2008), told apart under every common colour vision deficiency, then Tol's muted scheme (2021). Static
# subsets have broken lines and darker shades, in-batch policies dotted lines; no colour comes twice in a family.
NAMED = {
    "full": Look("#222222", "*"),
    "short": Look("#8a8a8a", "s"),
    "random": Look("#56b4e9", "o"),
    "rs2": Look("#cc79a7", "p"),
    "lfl": Look("#d55e00", "D"),
    "epsilon-greedy": Look("#e69f00", "P"),
    "ucb": Look("#882255", "X"),
    "infobatch": Look("#009e73", "^"),
    "infobatch-published": Look("#117733", "^"),
    "kakurenbo": Look("#999933", "h"),
    "seta": Look("#332288", ">"),
    "seta-published": Look("#6a5acd", ">"),
    "orderdp": Look("#44aa99", "<"),
    "repb": Look("#aa4499", "d"),
    "emp": Look("#0072b2", "v"),
    "emp-gated": Look("#b3123f", ">"),
    "scan": Look("#7a4a2b", "8"),
    "divbs": Look("#b07aa1", "8", DOTTED),
    "selective-backprop": Look("#c2a500", "H", DOTTED),
    "static-random": Look("#a9a9a9", "o", BROKEN),
    "el2n": Look("#8c510a", "s", BROKEN),
    "grand": Look("#bf812d", "D", BROKEN),
    "grand-last-layer": Look("#dfa65a", "d", BROKEN),
    "forgetting": Look("#01665e", "^", BROKEN),
    "aum": Look("#5ab4ac", "v", BROKEN),
    "margin": Look("#762a83", "<", BROKEN),
    "least-confidence": Look("#9970ab", ">", BROKEN),
    "entropy": Look("#2166ac", "P", BROKEN),
    "herding": Look("#7f7f00", "X", BROKEN),
    "k-center": Look("#b2182b", "p", BROKEN),
    "ccs": Look("#1b7837", "h", BROKEN),
    "moderate": Look("#d6604d", "8", BROKEN),
}
_FREE = ["#e69f00", "#cc79a7", "#882255", "#999933", "#332288", "#44aa99"]
_FREE_MARKERS = ["P", "X", "<", ">", "h", "p", "d"]


def looks(policies: Sequence[str]) -> dict[str, Look]:
    """A look for each policy: its own where it has one, so that all figures agree, else a free colour with a marker.

    Two are the same only where the free pairs, up to 42, have run out.

    >>> looks(["emp", "mine"])["mine"].colour
    '#e69f00'
    """
    named = {policy: NAMED[policy] for policy in policies if policy in NAMED}
    taken = {look.colour for look in named.values()}
    colours = [colour for colour in _FREE if colour not in taken] or _FREE
    # Seven markers, a prime, so that every colour meets every marker, and neighbours are unlike in both.
    pairs = map(Look, itertools.cycle(colours), itertools.cycle(_FREE_MARKERS))
    free = (look for look in pairs if look not in named.values())
    return {policy: named.get(policy) or next(free) for policy in policies}


def outline(marker: str) -> str:
    """A marker as the path of an SVG, within (−0.5, 0.5) or a little beyond, y downwards.

    >>> outline("s")
    'M-0.5,0.5 L0.5,0.5 L0.5,-0.5 L-0.5,-0.5 L-0.5,0.5 Z'
    """
    style = MarkerStyle(marker)
    path = style.get_path().transformed(style.get_transform())
    if marker == "o":  # an arc of its own in matplotlib, of many Bézier curves
        return "M-0.5,0 A0.5,0.5 0 1,0 0.5,0 A0.5,0.5 0 1,0 -0.5,0 Z"
    corners = [f"{x:.3g},{-y:.3g}" for x, y in np.asarray(path.to_polygons(closed_only=False)[0], dtype=np.float64)]
    return "M" + " L".join(corners) + " Z"


def on_dark(colour: str, contrast: float = 4.0) -> str:
    """A colour as #rrggbb, mixed with white until it contrasts with the dark page as WCAG counts it; black turns white.

    >>> on_dark("#56b4e9"), on_dark("#222222")
    ('#56b4e9', '#f0f0f0')
    """
    if colour == NAMED["full"].colour:
        return LIGHT
    rgb = np.array(to_rgb(colour))
    for white in np.linspace(0, 1, 101):
        mixed = rgb + white * (1 - rgb)
        if (luminance(to_hex(mixed)) + 0.05) / (luminance(DARK) + 0.05) >= contrast:
            break
    return to_hex(mixed)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, in [0, 1], as WCAG 2 defines it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


DARK, LIGHT = "#16181d", "#f0f0f0"
"""The page's background in the dark, and ink on it."""
# From few to many; of viridis, whose light end is hard to see on white and whose dark end is on a dark page.
COUNT_COLOURS = tuple(
    [to_hex(mpl.colormaps["viridis"](place)) for place in np.linspace(*ends, 7)] for ends in ((0.88, 0.0), (0.3, 1.0))
)
"""Colours of training counts in seven steps, on white and on the dark page."""
