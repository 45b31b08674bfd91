"""The study's table: its own runs, paired by seed with those that other studies hold of EMP and dynamic random."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emprune_lab.report.formats import format_difference, format_mean
from emprune_lab.report.intervals import mean, paired_difference

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
        runs: of the gated policy, in the laboratory's format.
    """
    lines = [
        "| data, network | rate | metric | gated EMP | minus random | EMP minus random | gated minus EMP | seeds |",
        "| :--- | ---: | :--- | ---: | ---: | ---: | ---: | ---: |",
    ]
    random, emp = _by_setting(references("random")), _by_setting(references("emp"))
    for setting, gated in _by_setting(runs).items():
        seeds, of = sorted(gated), (random[setting], emp[setting])
        ours, randoms, emps = ([_value(group[seed]) for seed in seeds] for group in (gated, *of))
        differences = (paired_difference(*pair) for pair in ((ours, randoms), (emps, randoms), (ours, emps)))
        shown = " | ".join(format_difference(difference) for difference in differences)
        data, model, _, _, noise, rate = setting
        name = f"{data}, {model}" + (f", {noise:.0%} wrong labels" if noise else "")
        lines.append(
            f"| {name} | {rate:g} | {gated[seeds[0]]['metric']} | {format_mean(mean(ours))} | {shown} | {len(seeds)} |"
        )
    return "\n".join(lines) + "\n"


def _by_setting(runs: Iterable[Run]) -> dict[tuple[Any, ...], dict[int, Run]]:
    found: dict[tuple[Any, ...], dict[int, Run]] = {}
    for run in runs:
        found.setdefault(tuple(run[name] for name in _SETTING), {})[run["seed"]] = run
    return found


def _value(run: Run) -> float:
    """What heads the comparison: in percent, but bits, of which fewer are better, as they are and negative."""
    value: float = run.get("metrics", {}).get(run["metric"], run["accuracy"])
    return -value if run["metric"].startswith("bits") else 100 * value
