"""What is measured after each epoch, over epochs, samples and seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emprune_lab.records.metrics import METRICS
from emprune_lab.records.results import Result
from emprune_lab.report.comparison import Comparison, policies_of, rates_of, shown_of
from emprune_lab.report.costs import FULL
from emprune_lab.report.explorable import View

_SPENT = {"kept": "samples trained", "seconds": "seconds of training"}
_LABELS = {
    "memory": "memory term",
    "retrieved": "remembered, fraction",
    "loss": "loss of the samples trained, nats",
    "accuracy": "fraction right of the samples trained, while training",
}


def data(comparison: Comparison, room: float) -> dict[str, Any]:
    """Quantity → rate → policy → what it had spent after each epoch, and mean, lowest and highest over the seeds."""
    over = {"epochs": "epoch", **_SPENT}
    if not comparison.one_machine:
        del over["seconds"]
    names = _quantities(comparison)
    rates, curves = rates_of(comparison.cells), {}
    for name in names:
        cells = {cell: _curve([*seeds.values()], name, over) for cell, seeds in comparison.cells.items()}
        found = {cell: curve for cell, curve in cells.items() if curve}
        curves[name] = {
            f"{rate:g}": {policy: curve for (policy, at), curve in found.items() if policy == FULL or at == rate}
            for rate in rates
        }
    policies = policies_of(comparison.cells)
    return {
        "over": over, "quantities": {name: _label(name) for name in names}, "curves": curves,
        "shown": shown_of(policies),
    }  # fmt: skip


def _label(name: str) -> str:
    return _LABELS.get(name) or (f"{METRICS[name].words}, on held-out data" if name in METRICS else name)


def _quantities(comparison: Comparison) -> list[str]:
    """What every epoch of some run has: measures first, then what the task tells, then what training sees itself."""
    histories = [run.history for seeds in comparison.cells.values() for run in seeds.values() if run.history]
    names = [name for name in METRICS if name not in _LABELS]
    return [name for name in (*names, *_LABELS) if any(all(name in entry for entry in one) for one in histories)]


def _curve(runs: Sequence[Result], name: str, over: Mapping[str, str]) -> dict[str, list[float]] | None:
    """Of the runs that have the quantity in as many epochs as the first; None where there is none."""
    needed = [name, *_SPENT]
    whole = [run.history for run in runs if run.history and all(key in e for e in run.history for key in needed)]
    whole = [history for history in whole if len(history) == len(whole[0])]
    values = np.array([[entry[name] for entry in history] for history in whole])
    if not values.size or not np.isfinite(values).all():
        return None
    curve = {"mean": values.mean(axis=0), "low": values.min(axis=0), "high": values.max(axis=0)}
    curve["epochs"] = np.arange(1.0, values.shape[1] + 1)
    for key in _SPENT:
        if key in over:
            curve[key] = np.mean([np.cumsum([entry[key] for entry in history]) for history in whole], axis=0)
    return {key: [float(f"{number:.5g}") for number in one] for key, one in curve.items()}


VIEW = View(
    name="curves",
    title="Learning curves",
    caption="What is measured after each epoch: means over the seeds, bands from the lowest seed to the "
    "highest. The learning rate falls to zero over each policy’s own steps, so only the right ends compare "
    "finished runs; the broken line is where full ends. Measures are of a part of the held-out data, so that "
    "their last values differ a little from the table’s. Loss and fraction right of the samples trained are "
    "those of training itself: where hard samples are chosen they look worse than the model is. Memory term and "
    "what is remembered are of a fixed part of the training set under fixed views.",
    data=data,
    applies=lambda comparison: bool(_quantities(comparison)),
    replaces=("training",),
    order=40,
)
