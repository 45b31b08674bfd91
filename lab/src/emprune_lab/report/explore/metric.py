"""The metric value over what it cost: prune rate, samples or seconds."""

from __future__ import annotations

from typing import Any

from emprune_lab.report.axes import metric_limits
from emprune_lab.report.comparison import Comparison
from emprune_lab.report.costs import FULL
from emprune_lab.report.explorable import View


def data(comparison: Comparison, room: float) -> dict[str, Any]:
    """A point a policy and rate, with the interval of its metric value; those of the ladder over their cost alone."""
    rows, rated = comparison.rows, comparison.rated
    metric = rows[0].metric
    low, high = metric_limits([row.mean for row in rows], metric)
    over = {
        "rate": "prune rate: fraction of the samples left out",
        "samples": "samples trained",
        **({"seconds": "seconds: training, scoring and selecting"} if comparison.one_machine else {}),
    }
    points = [
        {
            "policy": row.policy, "rate": row.prune_rate, "value": row.mean.value, "low": row.mean.low,
            "high": row.mean.high, "seeds": len(row.seeds), "own": row.own_budget, "full": row.policy == FULL,
            "rated": row in rated, "difference": row.difference and row.difference.value,
            "over": {"rate": row.cost.realised_rate, "samples": row.cost.samples_trained, "seconds": row.cost.seconds},
        }
        for row in rows
    ]  # fmt: skip
    return {
        "axis": metric.axis, "words": metric.words, "digits": metric.digits, "limits": [low, high], "over": over,
        "better": metric.sign, "reference": rows[0].reference, "points": points,
    }  # fmt: skip


VIEW = View(
    name="metric",
    title="Metric value over rate, samples and seconds",
    caption="Means over the seeds; vertical bars are 95 % intervals, and one that leaves the picture is "
    "longer. Over the rate: points of one rate cost the same number of training samples, not counting what the "
    "run behind a static score trained before; the broken line is training on all the data. Over samples and "
    "seconds the axis is logarithmic: samples are those that went through backward, a static score’s run "
    "included; seconds are wall-clock, and left out where the runs were on different machines; runs at the same "
    "time on one machine slow each other down. Hollow marks: rules with a budget of their own, at the rate that "
    "this came to. An arrow marks a value off the axis.",
    data=data,
    applies=lambda comparison: comparison.pruned,
    replaces=("accuracy", "spending"),
    order=10,
)
