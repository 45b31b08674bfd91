"""Orders of suspicion: those of the score table, and cleanlab's; and how many wrong labels each finds."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from emprune.errors import DataError
from emprune.inspection import suspects

Run = Mapping[str, NDArray[Any]]
RUNNING = 0.3
"""Weight of the newest loss in the running average."""
_METHODS = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")


def orders_of_table(run: Run) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """By name, ids with the most suspicious first: the library's, then alternatives that it might have taken."""
    loss, memory = run["loss"].astype(np.float64), run["memory"].astype(np.float64)
    yield "last loss (pruner.suspects)", suspects(run["loss"], len(loss))
    refreshed = -np.log(run["in_sample"][np.arange(len(loss)), run["labels"]].astype(np.float64))
    yield "last loss, after a pass over all samples (pruner.observe)", suspects(refreshed, len(loss))
    yield "last loss − entropy", _descending(loss - memory)
    yield "last loss / (entropy + 0.5)", _descending(loss / (memory + 0.5))
    average = running_average(run["losses"], RUNNING)
    yield f"running average of losses, {RUNNING} (remember='mean')", _descending(average)
    yield "the same, after a pass over all samples", _descending(average + RUNNING * (refreshed - average))
    yield "mean of all losses", _descending(np.nanmean(run["losses"].astype(np.float64), axis=0))


def orders_of_cleanlab(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> Iterator[tuple[str, Any]]:
    """By name, ids with the most suspicious first, by each of cleanlab's scores."""
    rank = _cleanlab("rank")
    for method in _METHODS:
        for adjusted in (False, True):
            if adjusted and method == "confidence_weighted_entropy":  # which cleanlab does not adjust
                continue
            quality = rank.get_label_quality_scores(
                labels, outputs.astype(np.float64), method=method, adjust_pred_probs=adjusted
            )
            yield method.replace("_", " ") + (", adjusted" if adjusted else ""), _descending(-quality)


def flagged_by_cleanlab(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which labels cleanlab finds wrong with its defaults, in a number of its own."""
    found: NDArray[np.bool_] = _cleanlab("filter").find_label_issues(labels, outputs.astype(np.float64), n_jobs=1)
    return found


def running_average(losses: NDArray[Any], weight: float) -> NDArray[np.float64]:
    """float64 [N]: of losses [E, N], NaN where a sample was not trained, from each one's first on."""
    average = np.full(losses.shape[1], np.nan)
    for row in losses.astype(np.float64):
        seen = np.isfinite(row)
        first = seen & np.isnan(average)
        average[first] = row[first]
        later = seen & ~first
        average[later] += weight * (row[later] - average[later])
    return average


def measures(order: NDArray[np.int64], wrong: NDArray[np.bool_]) -> dict[str, float]:
    """Precision at the number of wrong labels, which is recall there; and the average precision over all numbers."""
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return {
        "precision": float(wrong[order[: int(wrong.sum())]].mean()),
        "average_precision": float(average_precision_score(wrong, -places)),
    }


def _descending(scores: NDArray[Any]) -> NDArray[np.int64]:
    return np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")


def _cleanlab(module: str) -> Any:
    try:
        return importlib.import_module(f"cleanlab.{module}")
    except ImportError as error:
        raise DataError("the comparison needs cleanlab: pip install cleanlab==2.9.0, which brings pandas.") from error
