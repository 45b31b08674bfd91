"""The study's table: accuracy at equal samples through backward, by way of choosing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emprune_lab.report.formats import format_difference, format_mean
from emprune_lab.report.intervals import mean, paired_difference

SEEDS = {"digits": 8, "fashion-mnist, 5,000 images": 4, "fashion-mnist": 2}
RATES = (0.7, 0.9)
BASELINE, BY_TABLE = "table random", "table emp"
MAIN = (BASELINE, BY_TABLE, "stream emp")
FURTHER = ("stream infobatch", "stream selective-backprop")
WAYS = {
    "digits": (*MAIN, *FURTHER, "stream emp:beta=1:gamma=1", "stream lfl"),
    "fashion-mnist, 5,000 images": (*MAIN, *FURTHER),
    "fashion-mnist": (*MAIN, *FURTHER),
}

Runs = Sequence[Mapping[str, Any]]


def table(runs: Runs) -> str:
    """Markdown, a table for each data set and rate; differences are paired by seed."""
    lines = []
    for data in WAYS:
        for rate in RATES:
            found = [run for run in runs if (run["data"], run["rate"]) == (data, rate)]
            if found:
                lines += [f"{data}, {rate:g}", "", *_rows(found, WAYS[data]), ""]
    return "\n".join(lines)


def _rows(runs: Runs, ways: Sequence[str]) -> list[str]:
    rows = [
        "| choice | accuracy, % | minus random by table | minus EMP by table | remembered, % | forward | backward | "
        "work, % of full | seeds |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for way in ways:
        mine = [run for run in runs if run["way"] == way]
        if mine:
            cells = [
                way, format_mean(mean([run["value"] for run in mine])), _minus(mine, _of(runs, BASELINE)),
                _minus(mine, _of(runs, BY_TABLE)), f"{_average(mine, 'remembered'):.1f}",
                *(f"{round(_average(mine, f'samples_{name}')):,}" for name in ("forward", "backward")),
                f"{_work(mine):.0f}", str(len(mine)),
            ]  # fmt: skip
            rows.append("| " + " | ".join(cells) + " |")
    return rows


def _of(runs: Runs, way: str) -> Runs:
    return [run for run in runs if run["way"] == way]


def _average(runs: Runs, name: str) -> float:
    return float(sum(run[name] for run in runs)) / len(runs)


def _work(runs: Runs) -> float:
    """Forward and backward passes in percent of those of training on everything, a backward pass counted as two."""
    full = _average(runs, "samples_backward") / (1 - float(runs[0]["rate"]))
    return 100 * (_average(runs, "samples_forward") + 2 * _average(runs, "samples_backward")) / (3 * full)


def _minus(runs: Runs, others: Runs) -> str:
    mine, theirs = ({run["seed"]: run["value"] for run in some} for some in (runs, others))
    seeds = sorted(mine.keys() & theirs.keys())
    if not seeds or mine == theirs:
        return ""
    return format_difference(paired_difference([mine[seed] for seed in seeds], [theirs[seed] for seed in seeds]))
