"""The study of the gated policy: its table is that of its runs."""

from __future__ import annotations

import json
from pathlib import Path

from studies.gate.table import references, table

FOLDER = Path(__file__).parents[2] / "studies" / "gate"


def test_table_and_page_are_those_of_the_runs() -> None:
    runs = json.loads((FOLDER / "runs.json").read_text())
    made = table(runs)
    assert made == (FOLDER / "table.md").read_text()
    assert made.strip() in (FOLDER / "README.md").read_text()
    assert made.count("\n") - 2 == 16


def test_runs_are_paired_with_others_that_trained_as_many_samples() -> None:
    counts: dict[tuple[object, ...], set[int]] = {}
    for run in [*references("emp"), *references("random"), *json.loads((FOLDER / "runs.json").read_text())]:
        setting = tuple(run[name] for name in ("data", "model", "epochs", "num_samples", "label_noise", "prune_rate"))
        counts.setdefault((*setting, run["seed"]), set()).add(run["samples_backward"])
    assert {len(found) for found in counts.values()} == {1}
