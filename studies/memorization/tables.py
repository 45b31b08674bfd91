"""The study's numbers as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from studies.memorization.summary import BETAS, EDGES, SCORES, Numbers

_TARGETS = {
    "mem": "mem: P[right | trained on] − P[right | not trained on]",
    "gain": "the loss that training on a sample saves, in nats",
    "votes": "I(f(x); w | x), f the predicted class",
}
_SCORES = ("L", "H", *(f"L + {'' if beta == 1 else beta}H" for beta in BETAS), "H, L fixed")
_GROUPS = (f"< {EDGES[0]:g}", *(f"from {edge:g}" for edge in EDGES))


def tables(data: str, conditions: Sequence[Numbers]) -> str:
    """Every condition's tables: the estimate, the correlations at three epochs, and the pruned runs."""
    parts = [f"# What is memorised: {data}"]
    for condition in conditions:
        noise = condition["label_noise"]
        parts.append(f"## {f'{100 * noise:g} % wrong labels' if noise else 'Clean labels'}")
        parts.append(_estimate_table(condition))
        for target, name in _TARGETS.items():
            parts += [f"Rank correlation with {name}", _correlation_table(condition, target)]
        parts.append(
            f"Under pruning: times trained and remembered (%) by group of mem (< {EDGES[0]:g}, then from "
            f"{', '.join(f'{edge:g}' for edge in EDGES)})"
        )
        parts.append(_pruned_table(condition))
    return "\n\n".join(parts) + "\n"


def _estimate_table(condition: Numbers) -> str:
    rows = []
    for part, reliability in condition["reliability"].items():
        memorised, right = condition["memorised"][part], condition["right"][part]
        groups = memorised["groups"]
        rows.append(
            [
                part, sum(groups), f"{memorised['mean']:.3f}", *groups,
                f"{right['trained on']:.3f} / {right['not trained on']:.3f}",
                *(f"{reliability[t]['halves']:.2f} → {_limit(reliability[t]):.2f}" for t in _TARGETS),
            ]
        )  # fmt: skip
    headings = ["samples with", "N", "mean mem", *(f"mem {edge}" for edge in _GROUPS), "P[right]: trained on / not"]
    return _table([*headings, *(f"{target}: halves → limit" for target in _TARGETS)], rows)


def _limit(reliability: Mapping[str, float]) -> float:
    """The highest correlation to be had: by the estimate's noise, or by its ties."""
    return min(reliability["bound"], reliability["ceiling"])


def _correlation_table(condition: Numbers, target: str) -> str:
    rows = []
    for part, sources in condition["correlations"].items():
        scores = sources["after"][target]
        epochs = len(scores["loss"]["value"])
        for epoch in sorted({max(epochs // 4, 1), max(epochs // 2, 1), epochs}):
            cells = [_interval({name: column[epoch - 1] for name, column in scores[s].items()}) for s in SCORES]
            rows.append([part, epoch, *cells])
    return _table(["samples with", "epoch", *_SCORES], rows)


def _pruned_table(condition: Numbers) -> str:
    rows = []
    for run in condition["pruned"]:
        for part, groups in run["by_group"].items():
            accuracy, correlation = run["test_accuracy"]["value"], _interval(run["mem_and_times_trained"][part])
            named = [run["policy"], f"{run['prune_rate']:g}", f"{100 * accuracy:.1f}", part, correlation]
            rows.append([*named, *map(_group_cell, groups)])
    headings = ["policy", "rate", "test accuracy, %", "samples with", "corr. of mem and times trained"]
    return _table([*headings, *_GROUPS], rows)


def _group_cell(group: Numbers | None) -> str:
    if group is None:
        return "–"
    return f"{group['times_trained']['value']:.1f}; {100 * group['remembered']['value']:.0f}"


def _interval(numbers: Mapping[str, float | None]) -> str:
    value, low, high = (numbers[name] for name in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return "–"
    return f"{value:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")


def _table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
