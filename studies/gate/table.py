"""The study's table: its own runs, paired by seed with those that other studies hold of EMP and dynamic random."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emprune_lab.report.formats import format_difference, format_mean
from emprune_lab.report.intervals import Estimate, mean, paired_difference

STUDIES = Path(__file__).parents[1]
REFERENCES = (
    "fashion-mnist/clean-and-mislabelled", "digits/all-methods", "digits/wrong-labels", "cifar100-cpu",
    "language/cola", "language/mrpc", "language/tinyshakespeare", "simclr/policies",
)  # fmt: skip
"""Folders of studies whose runs of EMP and random are compared with, at the same settings."""
_SETTING = ("data", "model", "epochs", "num_samples", "label_noise", "prune_rate")

Run = Mapping[str, Any]


def references(policy: str) -> list[Run]:
    """All runs of a policy in those studies."""
    files = [STUDIES / name / "results.json" for name in REFERENCES]
    return [run for file in files for run in json.loads(file.read_text("utf-8")) if run["policy"] == policy]


def table(runs: Sequence[Run]) -> str:
    """Markdown: a row for each setting, with differences paired by seed.

    Args:
        runs: of the gated policy, and of what was trained beside it for seeds that other studies lack, in the
            laboratory's format.
    """
    lines = [
        "| data, network | rate | metric | gated EMP | minus random | EMP minus random | gated minus EMP | seeds |",
        "| :--- | ---: | :--- | ---: | ---: | ---: | ---: | ---: |",
    ]
    random, emp = (_by_setting([*references(name), *_of(name, runs)]) for name in ("random", "emp"))
    for setting, gated in _by_setting(_of("emp-gated", runs)).items():
        seeds, pairs = sorted(gated), ((gated, random[setting]), (emp[setting], random[setting]), (gated, emp[setting]))
        ours = [_value(gated[seed]) for seed in seeds]
        shown = " | ".join(format_difference(_difference(*pair, seeds)) for pair in pairs)
        data, model, _, _, noise, rate = setting
        name = f"{data}, {model}" + (f", {noise:.0%} wrong labels" if noise else "")
        lines.append(
            f"| {name} | {rate:g} | {gated[seeds[0]]['metric']} | {format_mean(mean(ours))} | {shown} | {len(seeds)} |"
        )
    return "\n".join(lines) + "\n"


def _of(policy: str, runs: Iterable[Run]) -> list[Run]:
    return [run for run in runs if run["policy"] == policy]


def _difference(first: Mapping[int, Run], second: Mapping[int, Run], seeds: Iterable[int]) -> Estimate:
    """Of the seeds that both have."""
    both = [seed for seed in seeds if seed in first and seed in second]
    return paired_difference(*([_value(group[seed]) for seed in both] for group in (first, second)))


def _by_setting(runs: Iterable[Run]) -> dict[tuple[Any, ...], dict[int, Run]]:
    found: dict[tuple[Any, ...], dict[int, Run]] = {}
    for run in runs:
        found.setdefault(tuple(run[name] for name in _SETTING), {})[run["seed"]] = run
    return found


def _value(run: Run) -> float:
    """What heads the comparison: in percent, but bits, of which fewer are better, as they are and negative."""
    value: float = run.get("metrics", {}).get(run["metric"], run["accuracy"])
    return -value if run["metric"].startswith("bits") else 100 * value
