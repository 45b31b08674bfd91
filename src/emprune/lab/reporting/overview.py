"""A comparison in one small table, for a README: policies down, settings and rates across."""

from __future__ import annotations

from collections.abc import Iterable

from emprune.lab.reporting.statistics import FULL, RANDOM, Row, summarise
from emprune.lab.reporting.tables import NONE, format_difference, format_mean, markdown_table
from emprune.lab.results import Result


def overview_markdown(results: Iterable[Result], reference: str = RANDOM) -> str:
    """Accuracy in percent and the paired difference to the reference, one column a label noise and rate.

    A cell reads: mean ± half the 95 % interval over seeds, then the difference to the reference at the same
    rate and seeds with its interval; bold where that interval lies above zero. ``full`` trains on more
    samples and has no difference.

    Raises:
        ArgumentError: policies of one rate trained different numbers of samples.
    """
    rows = summarise(results, reference)
    noises = sorted({row.setting.label_noise for row in rows})
    rates = sorted({row.prune_rate for row in rows if row.policy != FULL})
    policies = list(dict.fromkeys(row.policy for row in rows))
    cells = {(row.policy, row.setting.label_noise, row.prune_rate): row for row in rows}
    headings = [
        f"{'clean' if not noise else f'{noise:.0%} wrong labels'}, {rate:g}" for noise in noises for rate in rates
    ]
    lines = []
    for policy in policies:
        found = [cells.get((policy, noise, 0.0 if policy == FULL else rate)) for noise in noises for rate in rates]
        lines.append([policy, *(_cell(row, reference) for row in found)])
    return markdown_table(["policy", *headings], [":---"] + ["---:"] * len(headings), lines)


def _cell(row: Row | None, reference: str) -> str:
    if row is None:
        return NONE
    if row.policy == reference or row.difference is None:
        return format_mean(row.accuracy)
    difference = format_difference(row.difference)
    return f"{format_mean(row.accuracy)}, " + (f"**{difference}**" if row.difference.sign > 0 else difference)
