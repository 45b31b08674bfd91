"""Which runs a figure shows: their policies and rates, and a readable number of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emprune_lab.records.results import Samples
from emprune_lab.reporting.costs import own_budget
from emprune_lab.reporting.statistics import policy_order

Runs = Mapping[tuple[str, float], Sequence[Samples]]
"""(policy, prune rate) → the per-sample arrays of its seeds."""

MOST_SHOWN = 6
"""Panels or lines side by side that can still be read."""

# The problem, the remedy and the baseline first, then what scores and draws in other ways.
_FIRST = (
    "lfl", "emp", "random", "scan", "infobatch", "ucb", "orderdp", "seta", "repb", "divbs", "epsilon-greedy", "rs2",
    "short", "static-random",
)  # fmt: skip


def policies_of(runs: Mapping[tuple[str, float], object], leave_out: Sequence[str] = ()) -> list[str]:
    """The policies of runs, in the report's order."""
    return [policy for policy in policy_order(policy for policy, _ in runs) if policy not in leave_out]


def rates_of(runs: Runs, leave_out: Sequence[str] = ()) -> list[float]:
    """The prune rates of runs, ascending."""
    return sorted({rate for policy, rate in runs if policy not in leave_out})


def equal_budgets(runs: Runs) -> Runs:
    """The runs without those of policies that have a budget of their own."""
    return {(policy, rate): samples for (policy, rate), samples in runs.items() if not own_budget(policy)}


def shown_of(policies: Sequence[str], most: int = MOST_SHOWN) -> list[str]:
    """At most so many of the policies, in their order: those that tell most, plain ones before their variants.

    >>> shown_of(["random", "emp:beta=2", "mine", "lfl", "emp"], most=4)
    ['random', 'mine', 'lfl', 'emp']
    """
    if len(policies) <= most:
        return list(policies)

    def rank(policy: str) -> tuple[bool, int]:
        return ":" in policy, _FIRST.index(policy) if policy in _FIRST else len(_FIRST)

    chosen = sorted(policies, key=rank)[:most]
    return [policy for policy in policies if policy in chosen]
