"""The study of advice: its table is that of its runs, and its page quotes it."""

from __future__ import annotations

import json

from studies.advice.__main__ import FOLDER, SETTINGS, table

RUNS = json.loads((FOLDER / "runs.json").read_text("utf-8"))


def test_the_table_is_that_of_the_runs() -> None:
    assert table(RUNS) == (FOLDER / "table.md").read_text("utf-8")
    assert table(RUNS) in (FOLDER / "README.md").read_text("utf-8")
    assert {run["setting"] for run in RUNS} <= set(SETTINGS)
