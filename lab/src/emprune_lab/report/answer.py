"""The answer to the question of whoever compares on his own data: what pruning costs him, and what it saves."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from emprune_lab.records.results import Result
from emprune_lab.report.costs import FULL, RANDOM
from emprune_lab.report.equal import SpeedUp
from emprune_lab.report.formats import format_difference, format_speed_up
from emprune_lab.report.intervals import Estimate
from emprune_lab.report.lossless import is_lossless
from emprune_lab.report.statistics import Row, policy_order, summarise
from emprune_lab.specs.spec import SHORT

ASKED_FOR = "emp-gated"
"""The policy whose answer is given where it was run, since it is the library's default: the best of many in hindsight
would be one too lucky."""


def answers(rows: Sequence[Row]) -> list[str]:
    """A sentence a rate, the one that matters most first: the highest rate without loss, or else the lowest tried.

    Args:
        rows: of one setting, as :func:`emprune_lab.report.statistics.summarise` orders them.

    Returns:
        Nothing where full data or a policy to compare with it is missing.
    """
    full = next((row for row in rows if row.policy == FULL), None)
    compared = [row for row in rows if row.ranked and row.policy != SHORT and row.to_full is not None]
    if full is None or not compared:
        return []
    policy = _asked_for([row.policy for row in compared])
    own = sorted((row for row in compared if row.policy == policy), key=lambda row: row.prune_rate)
    without_loss = [row for row in own if row.to_full and is_lossless(row.to_full, row.metric)]
    first = without_loss[-1] if without_loss else own[0]
    ordered = (first, *(row for row in own if row is not first))
    return [_sentence(row, full, row.to_full) for row in ordered if row.to_full]


def own_answers(results: Sequence[Result], reference: str = RANDOM) -> list[str]:
    """The answers of all settings of a user's own among these runs.

    Raises:
        ArgumentError: as :func:`~emprune_lab.report.statistics.summarise`.
    """
    groups = itertools.groupby(summarise(results, reference), key=lambda row: row.setting)
    return [sentence for setting, rows in groups if setting.own for sentence in answers(list(rows))]


def _asked_for(policies: Sequence[str]) -> str:
    order = [policy for policy in policy_order(policies) if policy != RANDOM] or [RANDOM]
    return ASKED_FOR if ASKED_FOR in order else order[0]


def _sentence(row: Row, full: Row, difference: Estimate) -> str:
    """What it costs, what it saves, and whether training less would have done as well."""
    said = (
        f"Pruning with {row.policy} at {row.prune_rate:g} {_cost(row, full, difference)}; it saves {_saved(row, full)}"
    )
    return f"{said}{_worth(row.speed_up, row)}."


def _cost(row: Row, full: Row, difference: Estimate) -> str:
    metric = row.metric
    reached = f"{row.mean.value:.{metric.digits}f} against {full.mean.value:.{metric.digits}f} with all the data"
    shown, count = format_difference(difference, metric.digits), difference.count
    if difference.low is None:
        seeds = "one seed does" if count == 1 else f"{count} seeds that agree do"
        return f"ends at {metric.words} {reached}, {shown}, a difference that {seeds} not tell from chance"
    size = _between(abs(difference.value), *sorted(abs(end) for end in difference.ends), digits=metric.digits)
    if difference.sign * metric.sign < 0:
        return f"costs {size} of {metric.words} ({reached})"
    if difference.sign * metric.sign > 0:
        return f"gains {size} of {metric.words} ({reached})"
    if is_lossless(difference, metric):
        return f"costs no {metric.words} ({reached}, {shown})"
    return f"ends at {metric.words} {reached}, {shown}, a difference that {count} seeds do not tell from chance"


def _saved(row: Row, full: Row) -> str:
    samples = f"{100 * (1 - row.cost.samples_trained / full.cost.samples_trained):.0f} % of the samples"
    seconds = row.seconds_saved
    if seconds is None:
        return f"{samples}; its seconds were not measured on the machine of full data"
    return f"{samples} and {_percent(seconds)} of the seconds"


def _percent(fraction: Estimate) -> str:
    value = f"{100 * fraction.value:.0f} %"
    if fraction.low is None or fraction.high is None:
        return value.replace("-", "−")
    return f"{value} [{100 * fraction.low:.0f}, {100 * fraction.high:.0f}]".replace("-", "−")


def _worth(found: SpeedUp | None, row: Row) -> str:
    """What plain training needs for as much."""
    if found is None:
        return ""
    needs = f". Plain training needs {format_speed_up(found)} times its samples for that {row.metric.words}"
    if found.low is None:
        return needs
    verdict = {
        1: "choosing samples pays", -1: "training on all of them for fewer epochs is better",
        0: "that is not significantly other than 1, so fewer epochs may do as well",
    }  # fmt: skip
    return f"{needs}: {verdict[found.sign]}"


def _between(value: float, low: float, high: float, *, digits: int) -> str:
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
