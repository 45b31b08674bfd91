"""The study's tables: what each kind of run trained and reached, and differences paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from studies.auto_rate.runs import AUTO, FIXED, FULL, RANDOM, TARGET

from emprune_lab.records.results import Result
from emprune_lab.report.formats import format_difference, format_mean
from emprune_lab.report.intervals import mean, paired_difference

Kind = tuple[str, bool]
"""A policy, and whether it trains what the run that follows the scores freely did."""
_ROWS: tuple[tuple[Kind, str, Kind | None], ...] = (
    ((AUTO, True), "EMP, rate follows the scores", (FIXED, True)),
    ((FIXED, True), "EMP, fixed rate of that total", None),
    ((RANDOM, True), "random, fixed rate of that total", (FIXED, True)),
    ((TARGET, False), "EMP, follows the scores, 0.7 of the run", (FIXED, False)),
    ((FIXED, False), "EMP, fixed 0.7", None),
    ((RANDOM, False), "random, fixed 0.7", (FIXED, False)),
    ((FULL, False), "full", None),
)


def table(results: Sequence[Result]) -> str:
    """Markdown: accuracies and differences of each data set, then how its runs spread their samples."""
    parts = []
    for data in dict.fromkeys(result.data for result in results):
        kinds = by_kind([result for result in results if result.data == data])
        parts += [*_accuracies(data, kinds), "", *_spread(kinds), ""]
    return "\n".join(parts)


def by_kind(results: Sequence[Result]) -> dict[Kind, dict[int, Result]]:
    """One data set's runs, by kind and seed."""
    kinds: dict[Kind, dict[int, Result]] = {}
    for result in results:
        free = result.policy == AUTO or result.budget == "run"
        kinds.setdefault((result.policy, free), {})[result.seed] = result
    return kinds


def _accuracies(data: str, kinds: Mapping[Kind, Mapping[int, Result]]) -> list[str]:
    lines = [
        f"| {data} | realised rate | samples trained | accuracy | minus full | minus EMP at the fixed rate | seeds |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for kind, name, fixed in _ROWS:
        if kind not in kinds:
            continue
        runs = list(kinds[kind].values())
        rates = sorted(run.realised_rate for run in runs)
        rate = f"{rates[0]:.3f}" if rates[0] == rates[-1] else f"{rates[0]:.3f} to {rates[-1]:.3f}"
        samples = np.mean([run.samples_backward for run in runs])
        cells = [format_mean(mean([100 * run.accuracy for run in runs]))]
        for other in ((FULL, False) if kind[0] != FULL else None, fixed):
            cells.append(_difference(kinds[kind], kinds.get(other, {}) if other else {}))
        lines.append(f"| {name} | {rate} | {samples:,.0f} | {' | '.join(cells)} | {len(runs)} |")
    return lines


def _difference(ours: Mapping[int, Result], others: Mapping[int, Result]) -> str:
    seeds = [seed for seed in ours if seed in others]
    pairs = [[100 * group[seed].accuracy for seed in seeds] for group in (ours, others)]
    return format_difference(paired_difference(*pairs)) if seeds else ""


def _spread(kinds: Mapping[Kind, Mapping[int, Result]]) -> list[str]:
    """Part of the data that an epoch trains, mean over seeds, at eight points of the run."""
    shown = [(name, list(kinds[kind].values())) for kind, name, _ in _ROWS if kind[0] in (AUTO, TARGET)]
    epochs = shown[0][1][0].epochs
    points = sorted({round(place) for place in np.linspace(0, epochs - 1, 8)})
    lines = [f"| part trained in epoch | {' | '.join(str(point + 1) for point in points)} |"]
    lines.append("| :--- |" + " ---: |" * len(points))
    for name, runs in shown:
        parts = [np.mean([run.history[point]["kept"] / run.num_samples for run in runs]) for point in points]
        lines.append(f"| {name} | {' | '.join(f'{100 * part:.0f} %' for part in parts)} |")
    return lines
