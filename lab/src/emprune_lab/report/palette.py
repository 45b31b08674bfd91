"""What each policy looks like: a colour, a marker and a line, the same in all figures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.colors import to_rgb

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
