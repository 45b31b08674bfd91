"""From a finished condition to the numbers that are published of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from studies.memorization.estimate import TARGETS, SubsetModels, estimates, reliability
from studies.memorization.ranks import Bootstrap, Floats, Interval, partial
from studies.memorization.store import Arrays
from studies.memorization.study import Condition

from emprune_lab.report.intervals import mean

BETAS = (1, 5, 20)
SOURCES = {"after": ("loss", "entropy"), "seen": ("seen_loss", "seen_entropy")}
"""after: evaluated on the weights at the end of an epoch; seen: as the pruner recorded them in its steps."""
GIVEN = "entropy | loss"
SCORES = ("loss", "entropy", *(f"loss + {beta}·entropy" for beta in BETAS), GIVEN)
"""The scores correlated; the last one is the partial correlation of the entropy with the loss held fixed."""
EDGES = (0.05, 0.25, 0.5)
"""Between the groups of mem: hardly, somewhat, largely and mostly memorised."""
HISTOGRAM = (-0.2, 1.0, 24)
"""Lowest and highest edge, and number of bins; what lies outside counts in the outermost bins."""
_MOST_BINS = 10

Numbers = Mapping[str, Any]
"""A condition's summary."""


def summarise(condition: Condition) -> dict[str, Any]:
    """Every figure of a condition as JSON values; correlations are of shape [epochs] in lists."""
    models = SubsetModels(condition.inside, condition.predicted, condition.subset_loss)
    num_classes = int(condition.labels.max()) + 1
    found = estimates(models, condition.labels, num_classes)
    parts = strata(condition.mislabelled)
    return {
        "label_noise": condition.label_noise,
        "models": len(condition.inside),
        "samples": len(condition.labels),
        "mislabelled": int(condition.mislabelled.sum()),
        "right": _right(condition, parts),
        "memorised": {name: _distribution(found["mem"][part]) for name, part in parts.items()},
        "reliability": {
            name: {
                target: each._asdict()
                for target, each in reliability(models.of_samples(part), condition.labels[part], num_classes).items()
            }
            for name, part in parts.items()
        },
        "correlations": {name: _correlations(condition, found, part) for name, part in parts.items()},
        "pruned": [_pruned(policy, rate, runs, found["mem"], parts) for (policy, rate), runs in condition.runs.items()],
    }


def strata(mislabelled: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """All samples; and where some labels are wrong, those with a right and those with a wrong label."""
    every = {"all": np.ones(len(mislabelled), dtype=bool)}
    return {**every, "right label": ~mislabelled, "wrong label": mislabelled} if mislabelled.any() else every


def mem_groups(mem: Floats) -> NDArray[np.int64]:
    """The group of each sample, 0 to len(EDGES): by the edges at or below its mem."""
    return np.searchsorted(np.array(EDGES), mem, side="right")


def _right(condition: Condition, parts: Mapping[str, NDArray[np.bool_]]) -> dict[str, Any]:
    """P[right] of the subset models, trained on and not."""
    right = condition.predicted == condition.labels
    return {
        name: {
            "trained on": float(right[:, part][condition.inside[:, part]].mean()),
            "not trained on": float(right[:, part][~condition.inside[:, part]].mean()),
        }
        for name, part in parts.items()
    }


def _distribution(mem: Floats) -> dict[str, Any]:
    low, high, bins = HISTOGRAM
    counts, _ = np.histogram(np.clip(mem, low, high), bins, (low, high))
    return {
        "mean": float(mem.mean()),
        "groups": np.bincount(mem_groups(mem), minlength=len(EDGES) + 1).tolist(),
        "histogram": counts.tolist(),
    }


def _correlations(condition: Condition, found: Mapping[str, Floats], part: NDArray[np.bool_]) -> dict[str, Any]:
    """source → target → score → value, low and high, each a list over the epochs."""
    runs = condition.runs["full", 0.0]
    bootstrap = Bootstrap.of(int(part.sum()), len(runs))
    targets = {target: bootstrap.standardised(found[target][part]) for target in TARGETS}
    result: dict[str, Any] = {}
    for source, (loss, entropy) in SOURCES.items():
        epochs = [
            _one_epoch(bootstrap, [(run[loss][epoch][part], run[entropy][epoch][part]) for run in runs], targets)
            for epoch in range(len(runs[0][loss]))
        ]
        result[source] = {
            target: {score: _columns([epoch[target][score] for epoch in epochs]) for score in SCORES}
            for target in TARGETS
        }
    return result


def _one_epoch(
    bootstrap: Bootstrap, by_seed: Sequence[tuple[NDArray[Any], NDArray[Any]]], targets: Mapping[str, Floats]
) -> dict[str, dict[str, Interval]]:
    """target → score → correlation, from each seed's (loss, entropy)."""
    drawn: dict[str, dict[str, list[Floats]]] = {target: {score: [] for score in SCORES} for target in targets}
    for loss, entropy in by_seed:
        columns = {"loss": loss, "entropy": entropy}
        columns |= {f"loss + {beta}·entropy": loss + np.float32(beta) * entropy for beta in BETAS}
        ranks = {score: bootstrap.standardised(values) for score, values in columns.items()}
        both = bootstrap.correlation(ranks["loss"], ranks["entropy"])
        for target, of_target in targets.items():
            here = {score: bootstrap.correlation(z, of_target) for score, z in ranks.items()}
            here[GIVEN] = partial(here["entropy"], both, here["loss"])
            for score, values in here.items():
                drawn[target][score].append(values)
    return {
        target: {score: bootstrap.over_seeds(values) for score, values in each.items()}
        for target, each in drawn.items()
    }


def _columns(intervals: Sequence[Interval]) -> dict[str, list[float]]:
    return {name: [getattr(one, name) for one in intervals] for name in Interval._fields}


def _pruned(
    policy: str, rate: float, runs: Sequence[Arrays], mem: Floats, parts: Mapping[str, NDArray[np.bool_]]
) -> dict[str, Any]:
    return {
        "policy": policy,
        "prune_rate": rate,
        "test_accuracy": _over_seeds([float(run["test_accuracy"]) for run in runs]),
        "mem_and_times_trained": {
            name: _count_correlation([run["times_trained"][part] for run in runs], mem[part])
            for name, part in parts.items()
        },
        "by_count": _by_count(runs, mem),
        "by_group": {name: _by_group(runs, mem, part) for name, part in parts.items()},
    }


def _count_correlation(counts: Sequence[NDArray[Any]], mem: Floats) -> dict[str, float]:
    bootstrap = Bootstrap.of(len(mem), len(counts))
    of_mem = bootstrap.standardised(mem)
    by_seed = [bootstrap.correlation(bootstrap.standardised(column), of_mem) for column in counts]
    return bootstrap.over_seeds(by_seed)._asdict()


def _by_count(runs: Sequence[Arrays], mem: Floats) -> list[dict[str, float]]:
    """Bins of training counts, all seeds together: how many samples, their mean mem, and how many are right."""
    counts = np.concatenate([run["times_trained"] for run in runs])
    right, memorised = np.concatenate([run["correct"] for run in runs]), np.tile(mem, len(runs))
    width = -(-(int(counts.max()) + 1) // _MOST_BINS)
    bins = []
    for low in range(0, int(counts.max()) + 1, width):
        chosen = (counts >= low) & (counts < low + width)
        if chosen.any():
            bins.append(
                {
                    "from": low,
                    "to": low + width - 1,
                    "samples": int(chosen.sum()),
                    "mem": float(memorised[chosen].mean()),
                    "remembered": float(right[chosen].mean()),
                }
            )
    return bins


def _by_group(runs: Sequence[Arrays], mem: Floats, part: NDArray[np.bool_]) -> list[dict[str, Any] | None]:
    """Groups of mem: samples, mean training count, and remembered, over seeds; None for an empty group."""
    groups = mem_groups(mem)
    rows: list[dict[str, Any] | None] = []
    for group in range(len(EDGES) + 1):
        chosen = part & (groups == group)
        rows.append(
            {
                "samples": int(chosen.sum()),
                "times_trained": _over_seeds([float(run["times_trained"][chosen].mean()) for run in runs]),
                "remembered": _over_seeds([float(run["correct"][chosen].mean()) for run in runs]),
            }
            if chosen.any()
            else None
        )
    return rows


def _over_seeds(values: list[float]) -> dict[str, float | None]:
    """Mean and Student's t interval; one seed has none."""
    found = mean(values)
    return {"value": found.value, "low": found.low, "high": found.high}
