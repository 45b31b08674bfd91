"""From a finished condition to the numbers that are published of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from studies.memorization.estimate import TARGETS, Floats, Mask, estimates, reliability
from studies.memorization.ranks import bootstrap, partial, rank_correlations
from studies.memorization.study import Condition
from studies.memorization.training import Arrays

from emprune_lab.report.intervals import mean

BETAS = (1, 5, 20)
SOURCES = {"after": ("loss", "entropy"), "seen": ("seen_loss", "seen_entropy")}
"""after: evaluated on the weights at the end of an epoch; seen: as the pruner recorded them in its steps."""
GIVEN = "entropy | loss"
SCORES = ("loss", "entropy", *(f"loss + {beta}·entropy" for beta in BETAS), GIVEN)
"""The scores correlated; the last one is the partial correlation of the entropy with the loss held fixed."""
EDGES = (0.05, 0.25, 0.5)
"""Between the groups of mem: hardly, somewhat, largely and mostly memorised."""
_MOST_BINS = 10

Numbers = Mapping[str, Any]
"""A condition's summary."""


def summarise(condition: Condition) -> dict[str, Any]:
    """Every figure of a condition as JSON values; correlations are of shape [epochs] in lists."""
    labels, models, num_classes = condition.labels, condition.models, int(condition.labels.max()) + 1
    right, found = models.predicted == labels, estimates(models, labels, num_classes)
    parts, targets = strata(condition.mislabelled), np.stack([found[target] for target in TARGETS])
    return {
        "label_noise": condition.label_noise,
        "models": len(models.inside),
        "samples": len(labels),
        "mislabelled": int(condition.mislabelled.sum()),
        "right": {
            name: {
                "trained on": float(right.mean(where=models.inside & part)),
                "not trained on": float(right.mean(where=~models.inside & part)),
            }
            for name, part in parts.items()
        },
        "memorised": {
            name: {
                "mean": float(found["mem"][part].mean()),
                "groups": np.bincount(mem_groups(found["mem"][part]), minlength=len(EDGES) + 1).tolist(),
            }
            for name, part in parts.items()
        },
        "reliability": {
            name: reliability(models.part(samples=part), labels[part], num_classes) for name, part in parts.items()
        },
        "correlations": {
            name: _correlations(condition.runs["full", 0.0], targets[:, part], part) for name, part in parts.items()
        },
        "pruned": [
            {"policy": policy, "prune_rate": rate, **_pruned(runs, found["mem"], parts)}
            for (policy, rate), runs in condition.runs.items()
        ],
    }  # fmt: skip


def strata(mislabelled: Mask) -> dict[str, Mask]:
    """All samples; and where some labels are wrong, those with a right and those with a wrong label."""
    every = {"all": np.ones(len(mislabelled), dtype=bool)}
    return {**every, "right label": ~mislabelled, "wrong label": mislabelled} if mislabelled.any() else every


def mem_groups(mem: Floats) -> NDArray[np.int64]:
    """The group of each sample, 0 to len(EDGES): by the edges at or below its mem."""
    return np.digitize(mem, EDGES)


def _correlations(runs: Sequence[Arrays], targets: Floats, part: Mask) -> dict[str, Any]:
    """source → target → score → value, low and high, each a list over the epochs."""
    result: dict[str, Any] = {}
    for source, names in SOURCES.items():
        # Shape [runs, epochs, samples].
        loss, entropy = (np.stack([run[name][:, part] for run in runs]) for name in names)
        epochs = [_one_epoch(loss[:, epoch], entropy[:, epoch], targets) for epoch in range(loss.shape[1])]
        result[source] = {
            target: {
                score: {name: [float(epoch[name][row, column]) for epoch in epochs] for name in epochs[0]}
                for row, score in enumerate(SCORES)
            }
            for column, target in enumerate(TARGETS)
        }
    return result


def _one_epoch(loss: NDArray[np.float32], entropy: NDArray[np.float32], targets: Floats) -> dict[str, Floats]:
    """Correlations of the scores with the targets, of shape [scores, targets], from columns of shape [runs, N]."""
    scores = np.stack([loss, entropy, *(loss + np.float32(beta) * entropy for beta in BETAS)], axis=1)

    def by_run(ids: NDArray[np.int64]) -> Floats:
        found = []
        for of_run in scores:
            all_pairs = rank_correlations(np.concatenate([of_run, targets])[:, ids])
            direct = all_pairs[: len(of_run), len(of_run) :]
            found.append([*direct, partial(direct[1], all_pairs[0, 1], direct[0])])
        return np.array(found)

    return bootstrap(by_run, loss.shape[1], len(loss))


def _pruned(runs: Sequence[Arrays], mem: Floats, parts: Mapping[str, Mask]) -> dict[str, Any]:
    return {
        "test_accuracy": _over_seeds([float(run["test_accuracy"]) for run in runs]),
        "mem_and_times_trained": {
            name: _count_correlation([run["times_trained"][part] for run in runs], mem[part])
            for name, part in parts.items()
        },
        "by_count": _by_count(runs, mem),
        "by_group": {name: _by_group(runs, mem, part) for name, part in parts.items()},
    }


def _count_correlation(counts: Sequence[NDArray[Any]], mem: Floats) -> dict[str, float]:
    rows = np.stack([*counts, mem])
    found = bootstrap(lambda ids: rank_correlations(rows[:, ids])[:-1, -1], len(mem), len(counts))
    return {name: float(value) for name, value in found.items()}


def _by_count(runs: Sequence[Arrays], mem: Floats) -> list[dict[str, float]]:
    """Bins of training counts, all seeds together: how many samples, their mean mem, and how many are right."""
    counts = np.concatenate([run["times_trained"] for run in runs])
    right, memorised = np.concatenate([run["correct"] for run in runs]), np.tile(mem, len(runs))
    width = -(-(int(counts.max()) + 1) // _MOST_BINS)
    bins = []
    for number in np.unique(counts // width).tolist():
        chosen = counts // width == number
        bins.append(
            {
                "from": number * width,
                "to": (number + 1) * width - 1,
                "samples": int(chosen.sum()),
                "mem": float(memorised[chosen].mean()),
                "remembered": float(right[chosen].mean()),
            }
        )
    return bins


def _by_group(runs: Sequence[Arrays], mem: Floats, part: Mask) -> list[dict[str, Any] | None]:
    """Groups of mem: samples, mean training count, and remembered, over seeds; None for an empty group."""
    rows: list[dict[str, Any] | None] = []
    for group in range(len(EDGES) + 1):
        chosen = part & (mem_groups(mem) == group)
        row = {
            name: _over_seeds([float(run[column][chosen].mean()) for run in runs])
            for name, column in (("times_trained", "times_trained"), ("remembered", "correct"))
            if chosen.any()
        }
        rows.append({"samples": int(chosen.sum()), **row} if row else None)
    return rows


def _over_seeds(values: list[float]) -> dict[str, float | None]:
    """Mean and Student's t interval; one seed has none."""
    found = mean(values)
    return {"value": found.value, "low": found.low, "high": found.high}
