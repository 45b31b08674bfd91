"""What a run has learnt of its data, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emprune.inspection import REMEMBERED, hardest, surely_wrong, suspects
from emprune_lab.inspection.scores import Scores

QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)


def summary(scores: Scores, labels: Sequence[str] | None, number: int) -> dict[str, Any]:
    """Numbers and ids by name, as JSON values.

    Args:
        labels: of each row; None: not known.
        number: ids in each list.

    Returns:
        ``samples``, ``never_seen``, ``never_trained``, ``quarantined``, ``not_remembered`` (a last loss of log 2 or
        more, though trained), ``sure_errors`` (suspects that the network is sure of); ``quantiles`` of loss, memory and
        times_trained at :data:`QUANTILES`; ids, ``suspects``, ``hardest``, ``most_trained``, ``least_trained``; and
        ``classes``, where labels are given: of each its samples, its share of them and of what was trained, its mean
        loss, and how many of the suspects have it.
    """
    seen, trained = np.isfinite(scores.loss), scores.times_trained > 0
    rows = rows_of(scores, number)
    return {
        "samples": len(scores),
        "never_seen": int(np.isposinf(scores.loss).sum()),
        "never_trained": int((~trained).sum()),
        "quarantined": int(np.isnan(scores.loss).sum()),
        "not_remembered": int((trained & seen & (scores.loss >= REMEMBERED)).sum()),
        "sure_errors": int(surely_wrong(scores.loss, scores.memory).sum()),
        "quantiles": {
            "loss": _quantiles(scores.loss[seen]),
            "memory": _quantiles(scores.memory[seen]),
            "times_trained": _quantiles(scores.times_trained),
        },
        **{name: scores.id[found].tolist() for name, found in rows.items()},
        "classes": _classes(scores, labels, rows["suspects"]) if labels is not None else {},
    }


def rows_of(scores: Scores, number: int) -> dict[str, NDArray[np.int64]]:
    """Rows of the samples that are worth a look, at most ``number`` of each kind.

    Ties among the most trained go to the higher loss, among the least trained to the lower.
    """
    loss = np.where(np.isfinite(scores.loss), scores.loss, 0).astype(np.float64)
    return {
        "suspects": suspects(scores.suspicion, number),
        "hardest": hardest(scores.loss, scores.memory, number),
        "most_trained": np.lexsort((-loss, -scores.times_trained.astype(np.int64)))[:number],
        "least_trained": np.lexsort((loss, scores.times_trained))[:number],
    }


def _quantiles(values: NDArray[Any]) -> dict[str, float]:
    finite = values[np.isfinite(values)].astype(np.float64)
    if not len(finite):
        return {}
    found = np.quantile(finite, QUANTILES)
    return {f"q{round(100 * q)}": float(value) for q, value in zip(QUANTILES, found, strict=True)}


def _classes(scores: Scores, labels: Sequence[str], found: NDArray[np.int64]) -> dict[str, dict[str, float | None]]:
    names, of = np.unique(np.array(labels), return_inverse=True)
    counts, trained = np.bincount(of), np.bincount(of, weights=scores.times_trained)
    seen = np.isfinite(scores.loss)
    losses = np.bincount(of[seen], weights=scores.loss[seen], minlength=len(names))
    suspected = np.bincount(of[found], minlength=len(names))
    seen_counts = np.bincount(of[seen], minlength=len(names))
    return {
        str(name): {
            "samples": int(counts[at]),
            "share": float(counts[at] / len(scores)),
            "share_trained": float(trained[at] / max(1.0, trained.sum())),
            "mean_loss": float(losses[at] / seen_counts[at]) if seen_counts[at] else None,
            "suspects": int(suspected[at]),
        }
        for at, name in enumerate(names)
    }
