"""What stands under the tables: what is compared, and which interval is shown and what it covers."""

from __future__ import annotations

from collections.abc import Sequence

from emprune_lab.reporting.costs import FULL
from emprune_lab.reporting.intervals import NAMES, SCOPE, seeds_in_words
from emprune_lab.reporting.statistics import Row

OWN_BUDGET_NOTE = (
    "These rules decide by the scores how many samples they train. What they reach belongs to that number, not to the "
    "rate asked for, and is compared with no other."
)


def ranked_note(rows: Sequence[Row]) -> str:
    """Under the ranked table of one setting."""
    equal = "Policies of one rate trained the same number of samples (backward)"
    equal += "; full is the reference with more." if any(row.policy == FULL for row in rows) else "."
    forward = "forward counts all forward passes, those that only score or choose included."
    return " ".join([equal, *_scoring(rows), forward, *rows[0].setting.wording.notes, *interval_sentences(rows)])


def measures_note(rows: Sequence[Row]) -> str:
    """Under the table of all measures of one setting."""
    headline = f"The first measure, {rows[0].metric.words}, heads the comparison; all are of the same runs."
    metrics = {one.metric for row in rows for one in row.measures}
    lower = [metric.words for metric in metrics if not metric.higher_is_better]
    mixed = [f"Lower is better for {', '.join(sorted(lower))}."] if lower and len(lower) < len(metrics) else []
    return " ".join([headline, *mixed, *interval_sentences(rows, gap=False, better=bool(mixed))])


def cost_note(rows: Sequence[Row]) -> str:
    """Under the cost table of one setting."""
    sentences = [
        "Means over the seeds.",
        "backward: samples trained, in that many steps; forward: all forward passes, those that only score or choose "
        "included.",
        *_scoring(rows),
        "Seconds are wall-clock: training steps, separate scoring passes, selecting.",
        "speed-up: seconds of full over the policy’s; efficiency: the speed-up over that of the samples (backward), "
        "where 1 is a selection that costs nothing; – where full was not run on the same machine.",
        "Runs at the same time on one machine slow each other down.",
    ]
    return " ".join(sentences)


def overview_note(rows: Sequence[Row]) -> str:
    """Under the overview: its reading, and its intervals."""
    metric = rows[0].metric
    measure = f"{metric.title} in %" if metric.unit else metric.title
    cells = f"{measure}, then the difference to {rows[0].reference} at the same rate, paired by seed."
    left_out = sorted({row.policy for row in rows if row.own_budget})
    if left_out:
        cells += f" Not ranked here, since they have budgets of their own: {', '.join(left_out)}."
    return " ".join([cells, *interval_sentences(rows, gap=False)])


def interval_sentences(rows: Sequence[Row], *, gap: bool = True, better: bool = False) -> list[str]:
    """Which intervals are shown, over how many seeds, and what they speak of.

    Args:
        gap: whether gap closed is shown too.
        better: whether bold means better, whichever side of zero that is.
    """
    counts = [len(row.seeds) for row in rows]
    if max(counts) == 1:
        return ["One seed: no interval, so a difference may be chance."]
    name = NAMES[rows[0].accuracy.interval]
    sentences = [f"±: half the 95 % interval of the mean over {seeds_in_words(counts)} ({name})."]
    if any(row.difference for row in rows):
        brackets = f"Brackets: the 95 % interval of the difference paired by seed ({name})"
        closed = gap and any(row.gap_closed for row in rows)
        brackets += f", of gap closed ({NAMES['bootstrap']})" if closed else ""
        side = f"{'above' if rows[0].metric.higher_is_better else 'below'} zero"
        sentences.append(f"{brackets}; bold: {'better, without zero' if better else side}.")
    elif gap and any(row.gap_closed for row in rows):
        sentences.append(f"Brackets: the 95 % interval of gap closed ({NAMES['bootstrap']}).")
    return [*sentences, f"{SCOPE}."]


def _scoring(rows: Sequence[Row]) -> list[str]:
    if not any(row.cost.samples_backward_scoring for row in rows):
        return []
    return ["After +: samples that the run behind a static score had trained before, beyond that budget."]
