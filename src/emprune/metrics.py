"""What a run looks like at the end of an epoch, as a flat dict of numbers for any logger."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emprune.report import Report
from emprune.selection.effective import effective_fraction
from emprune.table import ScoreTable

QUANTILES = (0.1, 0.5, 0.9)

_MOST = 1_000_000
"""Rows that quantiles are taken of; of a larger table, evenly spaced ones."""


def metrics_of(report: Report, table: ScoreTable, *, epoch: int, kept: int | None, of: int) -> dict[str, float]:
    """The numbers of :meth:`emprune.Pruner.metrics`.

    Args:
        report: of the run so far.
        table: whose scores are summed up; of a partitioned one these are this rank's rows.
        epoch: the last one begun.
        kept: samples that it is to train; None if that is not known.
        of: the samples that it chooses them from.
    """
    total = report.num_samples
    numbers = {
        "epoch": epoch,
        **({} if kept is None else {"kept": kept, "prune_rate": 1 - kept / of}),
        "realised_rate": report.realised_rate,
        "samples_backward": report.samples_backward,
        "samples_forward": report.samples_forward,
        "steps": report.steps,
        "seconds_selecting": report.seconds_selecting,
        "never_trained": report.never_trained,
        "mean_times_trained": report.samples_backward / total,
        "quarantined": report.quarantined,
        "seen_fraction": 1 - float(np.count_nonzero(table.unseen)) / max(1, len(table)),
    }
    numbers |= report.decided
    rows = slice(None, None, 1 + len(table) // _MOST)
    loss, memory = table.loss[rows], table.memory[rows]
    memory = memory[np.isfinite(loss)]  # 0 in rows never seen, where the loss is infinite
    for name, scores in (("loss", loss), ("memory", memory)):
        numbers |= {f"{name}_{key}": value for key, value in summary(scores).items()}
    return {f"emprune/{name}": value for name, value in numbers.items()}


def summary(scores: NDArray[np.float32]) -> dict[str, float]:
    """Quantiles of the finite scores and their :func:`effective_fraction`, "ess"; nothing where there are none.

    Args:
        scores: float32, shape [n].

    >>> summary(np.array([1, 1, 0, 0], dtype=np.float32))
    {'q10': 0.0, 'q50': 0.5, 'q90': 1.0, 'ess': 0.5}
    """
    values = scores[np.isfinite(scores)].astype(np.float64)
    if not len(values):
        return {}
    quantiles = np.quantile(values, QUANTILES)
    found = {f"q{round(100 * q)}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)}
    if (effective := effective_fraction([values])) > 0:
        found["ess"] = effective
    return found
