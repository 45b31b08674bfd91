"""The map of the training set, and contact sheets of it: samples that can be looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emprune.errors import DataError
from emprune.seeding import generator
from emprune_lab.data import LabelledData
from emprune_lab.records.results import Samples
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


def likely_label_errors(samples: Samples, number: int = SHEET) -> NDArray[np.int64]:
    """Positions of the samples that the final model is surest to be labelled wrongly, surest first.

    They are predicted otherwise than labelled, and ranked by loss − entropy: how much more the given label
    surprises the model than it expects to be surprised.
    """
    wrong = np.flatnonzero(~samples.correct.astype(bool))
    surprise = samples.loss[wrong].astype(np.float64) - samples.entropy[wrong]
    return wrong[np.argsort(-surprise, kind="stable")][:number].astype(np.int64)


def data(comparison: Comparison, room: float) -> dict[str, Any]:
    """One run a policy: loss, memory term and training count of samples, lists of positions, and what samples show."""
    labels, labelled = _labels(comparison), comparison.setting.labelled
    policies = shown_of(policy_order(comparison.example))
    runs = {policy: comparison.samples[comparison.example[policy].run_id] for policy in policies}
    sheets = {policy: _sheets(one, labelled) for policy, one in runs.items()}
    number = len(next(iter(runs.values())).loss)
    order = generator(0, 0, "map").permutation(number)
    listed = list(dict.fromkeys(int(place) for one in sheets.values() for sheet in one.values() for place in sheet))
    # The lists first, so that whatever they name is on the map and has its picture.
    order = np.concatenate([np.array(listed, dtype=np.int64), order[~np.isin(order, listed)]])
    shown = order[: max(len(listed), int(room * _MOST_VALUES / len(runs)))]
    first = next(iter(comparison.example.values()))
    return {
        "origin": f"prune rate {first.prune_rate:g}, seed {first.seed}",
        "number": number,
        "log": labelled,
        "memory": "entropy of the prediction, nats" if labelled else "memory term",
        "classes": labels.num_classes if labels else 0,
        "positions": packed(shown),
        "wrong": packed(runs[policies[0]].mislabelled[shown].astype(np.uint8)),
        "runs": {policy: _run(one, shown, labelled) for policy, one in runs.items()},
        "sheets": sheets,
        "highest": max(1.0, float(np.median([np.quantile(one.times_trained, 0.99) for one in runs.values()]))),
        "colours": COUNT_COLOURS,
        **(_named(labels, shown) if labels else {}),
        "shows": shown_of_samples(labels, shown, room) if labels else {"positions": []},
    }


def _labels(comparison: Comparison) -> LabelledData | None:
    """None also where the data set's files are missing: the figures say so."""
    try:
        found = comparison.data
    except DataError:
        return None
    number = len(next(iter(comparison.samples.values())).loss)
    return found if found is not None and len(found) == number else None


def _sheets(samples: Samples, labelled: bool) -> dict[str, list[int]]:
    most, least = extremes(samples, SHEET)
    sheets = {"trained most": most.tolist(), "trained least": least.tolist()}
    return {"likely label errors": likely_label_errors(samples).tolist(), **sheets} if labelled else sheets


def _run(samples: Samples, shown: NDArray[np.int64], log: bool) -> dict[str, Any]:
    lowest = LOWEST if log else -np.inf
    loss, memory = (
        np.maximum(np.nan_to_num(one[shown]), lowest).astype(np.float32) for one in (samples.loss, samples.entropy)
    )
    right = np.rint(100 * samples.correct[shown].astype(np.float64)).astype(np.uint8)
    return {
        "loss": quantised(loss, log=log), "memory": quantised(memory, log=log),
        "count": packed(samples.times_trained[shown]), "right": packed(right),
    }  # fmt: skip


def _named(labels: LabelledData, shown: NDArray[np.int64]) -> dict[str, Any]:
    given, true = (one.numpy()[shown] for one in (labels.labels, labels.true_labels))
    return {"names": list(labels.class_names), "label": packed(given), "true": packed(true)}
