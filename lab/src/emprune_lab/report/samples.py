"""The map of the training set, and contact sheets of it: samples that can be looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emprune.errors import DataError
from emprune.inspection import suspects
from emprune.seeding import generator
from emprune_lab.data import LabelledData
from emprune_lab.records.results import Samples, Scored
from emprune_lab.report.comparison import Comparison, shown_of
from emprune_lab.report.explorable import packed, quantised
from emprune_lab.report.figures.images import extremes
from emprune_lab.report.palette import COUNT_COLOURS
from emprune_lab.report.pictures import shown_of_samples
from emprune_lab.report.statistics import policy_order

LOWEST = 1e-4
"""Nats; what lies below is drawn on the edge: mastered is mastered."""
SHEET = 48
"""Samples of a contact sheet."""
_MOST_VALUES = 300_000
_BINS = len(COUNT_COLOURS[0])


def data(comparison: Comparison, room: float) -> dict[str, Any]:
    """One run a policy: loss, memory term and training count of samples, lists of positions, and what samples show."""
    labels, labelled, example = _labels(comparison), comparison.setting.labelled, comparison.scored_example
    policies = shown_of(policy_order(example))
    runs = {policy: comparison.scored[example[policy].run_id] for policy in policies}
    sheets = {policy: _sheets(one, labelled) for policy, one in runs.items()}
    number = len(next(iter(runs.values())).loss)
    order = generator(0, 0, "map").permutation(number)
    listed = list(dict.fromkeys(int(place) for one in sheets.values() for sheet in one.values() for place in sheet))
    # The lists first, so that whatever they name is on the map and has its picture.
    order = np.concatenate([np.array(listed, dtype=np.int64), order[~np.isin(order, listed)]])
    shown = order[: max(len(listed), int(room * _MOST_VALUES / len(runs)))]
    first, wrong = next(iter(example.values())), getattr(runs[policies[0]], "mislabelled", np.zeros(number, dtype=bool))
    return {
        "origin": f"prune rate {first.prune_rate:g}, seed {first.seed}",
        "number": number,
        "log": labelled,
        "memory": "entropy of the prediction, nats" if labelled else "memory term",
        "classes": labels.num_classes if labels else 0,
        "positions": packed(shown),
        "wrong": packed(wrong[shown].astype(np.uint8)),
        "runs": {policy: _run(one, shown, labelled) for policy, one in runs.items()},
        "sheets": sheets,
        "highest": max(1.0, float(np.median([np.quantile(one.times_trained, 0.99) for one in runs.values()]))),
        "colours": COUNT_COLOURS,
        **(_named(labels, shown) if labels else {}),
        "shows": _shows(comparison, shown, number, room),
    }


def _labels(comparison: Comparison) -> LabelledData | None:
    """None also where the data set's files are missing: the figures say so."""
    if not comparison.example:
        return None
    try:
        found = comparison.data
    except DataError:
        return None
    number = len(next(iter(comparison.samples.values())).loss)
    return found if found is not None and len(found) == number else None


def _shows(comparison: Comparison, shown: NDArray[np.int64], number: int, room: float) -> dict[str, Any]:
    """Nothing where the data set's files are missing, or are no longer those of the runs; what a user says goes."""
    if comparison.shown is not None:
        return shown_of_samples(comparison.shown, shown, room)
    try:
        show, length = comparison.show
    except DataError:
        return {"positions": []}
    return shown_of_samples(show, shown, room) if show and length == number else {"positions": []}


def _sheets(samples: Scored, labelled: bool) -> dict[str, list[int]]:
    most, least = extremes(samples, SHEET)
    hard = "suspected label errors" if labelled else "highest loss"
    return {
        hard: suspects(samples.loss, SHEET).tolist(), "trained most": most.tolist(), "trained least": least.tolist(),
    }  # fmt: skip


def _run(samples: Scored, shown: NDArray[np.int64], log: bool) -> dict[str, Any]:
    memory = np.where(np.isnan(samples.entropy) & np.isfinite(samples.loss), np.float32(0), samples.entropy)
    found = {
        "loss": _values(samples.loss[shown], log=log), "memory": _values(memory[shown], log=log),
        "count": packed(samples.times_trained[shown]),
    }  # fmt: skip
    if isinstance(samples, Samples):
        found["right"] = packed(np.rint(100 * samples.correct[shown].astype(np.float64)).astype(np.uint8))
    return found


def _values(values: NDArray[np.float32], *, log: bool) -> dict[str, Any]:
    """NaN where a sample was never seen, or is quarantined."""
    if log:
        values = np.maximum(np.nan_to_num(values), np.float32(LOWEST))
    if np.isfinite(values).all():
        return quantised(values, log=log)
    return packed(np.where(np.isfinite(values), values, np.float32(np.nan)))


def _named(labels: LabelledData, shown: NDArray[np.int64]) -> dict[str, Any]:
    given, true = (one.numpy()[shown] for one in (labels.labels, labels.true_labels))
    return {"names": list(labels.class_names), "label": packed(given), "true": packed(true)}
