"""The study's table, from its runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emprune_lab.report.formats import format_difference, format_mean
from emprune_lab.report.intervals import mean, paired_difference

POLICIES = ("full", "short", "random", "emp")


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Markdown: each policy's metric in % of test and training canvases; differences to random, paired by seed."""
    lines = [
        "| task, metric | policy | test | difference to random | training canvases | samples | seconds |",
        "| :--- | :--- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for task in dict.fromkeys(run["task"] for run in runs):
        for policy in POLICIES:
            cell, random = ({run["seed"]: run for run in runs if (run["task"], run["policy"]) == (task, name)}
                            for name in (policy, "random"))  # fmt: skip
            seeds = sorted(cell)
            difference = "–"
            if policy not in ("random", "full"):
                ours, theirs = ([100 * group[seed]["value"] for seed in seeds] for group in (cell, random))
                difference = format_difference(paired_difference(ours, theirs))
            of = {key: [cell[seed][key] for seed in seeds] for key in ("value", "train_value", "seconds")}
            test, train = (format_mean(mean([100 * value for value in of[key]])) for key in ("value", "train_value"))
            first = cell[seeds[0]]
            lines.append(
                f"| {task}, {first['metric']} | {policy} | {test} | {difference} | {train} | "
                f"{first['samples_backward']:,} | {mean(of['seconds']).value:.0f} |"
            )
    return "\n".join(lines) + "\n"
