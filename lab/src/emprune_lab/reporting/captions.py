"""Captions of the figures of rows, computed from the same rows."""

from __future__ import annotations

from collections.abc import Sequence

from emprune_lab.reporting.costs import FULL
from emprune_lab.reporting.figures.spending import one_machine
from emprune_lab.reporting.intervals import NAMES, SCOPE, seeds_in_words
from emprune_lab.reporting.statistics import Row
from emprune_lab.specs.spec import SHORT

_OFF_AXIS = {True: "↓ lies below", False: "↑ lies above"}


def accuracy_caption(rows: Sequence[Row]) -> str:
    """Under the figure of accuracy over rate."""
    counts = [len(row.seeds) for row in rows]
    bars = (
        f"Vertical bars: 95 % interval of the mean over {seeds_in_words(counts)} ({NAMES[rows[0].accuracy.interval]}); "
        f"one that leaves the picture is longer. {SCOPE}. "
        if max(counts) > 1
        else "One seed: no interval, so a difference may be chance. "
    )
    full = "The broken line is training on all the data. " if any(row.policy == FULL for row in rows) else ""
    own = (
        "Hollow marks are rules that decide themselves how many samples they train, at the rate that this came to; "
        "nothing is said of them against the others. "
        if any(row.own_budget for row in rows)
        else ""
    )
    scoring = (
        ", not counting what the run behind a static score trained before"
        if any(row.cost.samples_backward_scoring for row in rows)
        else ""
    )
    off_axis = _OFF_AXIS[rows[0].metric.higher_is_better]
    return (
        f"{rows[0].metric.title} over prune rate. {bars}{full}{own}The points of one rate stand side by side and cost "
        f"the same number of training samples{scoring}. The numbers on the right are those of the highest rate. A "
        f"value with {off_axis} the axis."
    )


def difference_caption(rows: Sequence[Row]) -> str:
    """Under the figure of differences."""
    compared = [row.difference for row in rows if row.difference]
    reference = rows[0].reference
    wrong = " and the same wrong labels" if rows[0].setting.label_noise else ""
    samples = "which trains on all the data" if reference == FULL else "at the same number of training samples"
    bars = (
        f" Bars: 95 % interval of the paired difference ({NAMES[compared[0].interval]}); a filled dot says that it "
        f"leaves out zero, a hollow one that it does not. {SCOPE}."
        if any(one.count > 1 for one in compared)
        else " One seed: no interval, so a difference may be chance."
    )
    return (
        f"{rows[0].metric.title} minus that of {reference} with the same seed, hence the same initial weights"
        f"{wrong}, {samples}.{bars} ◂ and ▸ mark values off the scale."
    )


def spending_caption(rows: Sequence[Row]) -> str:
    """Under the figure of accuracy over cost."""
    machines = len(frozenset().union(*(row.cost.machines for row in rows)))
    time = (
        "Left: wall-clock seconds of training, scoring and selecting. Runs at the same time on one machine slow each "
        "other down. Right: samples"
        if one_machine(rows)
        else f"The runs were on {machines} different machines, so their seconds are not compared. Samples"
    )
    plain = (
        f" The broad grey line joins {SHORT} and {FULL}: what plain training buys at that cost, and what a method has "
        f"to lie {'above' if rows[0].metric.higher_is_better else 'below'}."
        if {FULL, SHORT} <= {row.policy for row in rows}
        else ""
    )
    scoring = (
        ", those of the run behind a static score included"
        if any(row.cost.samples_backward_scoring for row in rows)
        else ""
    )
    hollow = " Hollow: rules with a budget of their own." if any(row.own_budget for row in rows) else ""
    return (
        f"{rows[0].metric.title} over what it cost, means over the seeds, every policy at every rate. {time} that went "
        f"through backward{scoring}. Both axes are logarithmic.{plain}{hollow} A value with "
        f"{_OFF_AXIS[rows[0].metric.higher_is_better]} the axis."
    )
