"""The study of rates that follow the scores: its table is that of its runs, and what is paired is comparable."""

from __future__ import annotations

from pathlib import Path

from studies.auto_rate.runs import AUTO, FULL
from studies.auto_rate.table import by_kind, table

from emprune_lab.records.results import load_results

FOLDER = Path(__file__).parents[2] / "studies" / "auto_rate"


def test_table_and_page_are_those_of_the_runs() -> None:
    made = table(load_results(FOLDER))
    assert made == (FOLDER / "table.md").read_text()
    page = (FOLDER / "README.md").read_text()
    for line in filter(None, made.splitlines()):
        assert line in page


def test_runs_are_paired_with_others_that_trained_as_many_samples() -> None:
    results = load_results(FOLDER)
    for data in {result.data for result in results}:
        kinds = by_kind([result for result in results if result.data == data])
        totals: dict[tuple[bool, int], set[int]] = {}
        for (policy, free), runs in kinds.items():
            for seed, run in runs.items():
                if policy != FULL:
                    totals.setdefault((free, seed), set()).add(run.samples_backward)
        assert {len(found) for found in totals.values()} == {1}
        assert kinds[AUTO, True].keys() >= {0, 1, 2, 3}
