"""What the ranked rows say, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from emprune_lab.reporting.costs import FULL
from emprune_lab.reporting.formats import signed
from emprune_lab.reporting.statistics import Row


def findings(rows: Sequence[Row]) -> list[str]:
    """One sentence a rate: who is above, below, or not told apart from the reference by these seeds."""
    full = [row for row in rows if row.policy == FULL]
    sentences = []
    for rate in sorted({row.prune_rate for row in rows if row.ranked}):
        sentences.append(_one_rate([row for row in rows if row.ranked and row.prune_rate == rate], full))
    if full:
        sentences.append(f"All the data reaches {full[0].metric.said(full[0].accuracy.value)}.")
    own = [
        f"{row.policy}, asked for {row.prune_rate:g}, trains {row.cost.samples_backward:,} samples and reaches "
        f"{row.metric.said(row.accuracy.value)}"
        for row in rows
        if row.own_budget
    ]
    if own:
        sentences.append(f"Not ranked, since the rule decides its number of samples itself: {'; '.join(own)}.")
    return sentences


def _one_rate(rows: Sequence[Row], full: Sequence[Row]) -> str:
    reference = rows[0].reference
    start = f"Prune rate {rows[0].prune_rate:g} ({rows[0].cost.samples_backward:,} samples"
    start += f" instead of {full[0].cost.samples_backward:,})" if full else ")"
    said = _groups([row for row in rows if row.difference], reference)
    if reference != FULL:
        base = [row.metric.said(row.accuracy.value) for row in rows if row.policy == reference]
        said.insert(0, f"{reference} reaches {base[0]}" if base else f"{reference} was not run")
    return f"{start}: {'; '.join(said)}." if said else f"{start}."


def _groups(compared: Sequence[Row], reference: str) -> list[str]:
    if not compared:
        return []
    metric = compared[0].metric
    differences = [(row, row.difference) for row in compared if row.difference]
    listed = [f"{row.policy} ({signed(one.value, metric.digits)})" for row, one in differences]
    if all(one.low is None for _, one in differences):
        unit = "points over" if metric.unit == "%" else f"{metric.difference_unit} more than"
        return [f"one seed tells no difference from chance, {unit} {reference}: {', '.join(listed)}"]
    better, worse = ("above", "below") if metric.higher_is_better else ("better, which is below", "worse, above")
    names = {1: f"{better} {reference}", -1: f"{worse} {reference}", 0: "not told apart from it by these seeds"}
    groups = []
    for gain, name in names.items():
        members = [text for text, row in zip(listed, compared, strict=True) if row.gain == gain]
        if members:
            groups.append(f"{name}: {', '.join(members)}")
    return groups
