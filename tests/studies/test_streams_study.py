"""The study of streams: its table is that of its runs, and what is compared trained as many samples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from studies.streams.table import MAIN, WAYS, table
from studies.streams.training import by_stream, by_table

from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import recipe_for

FOLDER = Path(__file__).parents[2] / "studies" / "streams"
RUNS = json.loads((FOLDER / "runs.json").read_text())


def test_table_and_page_are_those_of_the_runs() -> None:
    made = table(RUNS)
    assert made == (FOLDER / "table.md").read_text()
    page = (FOLDER / "README.md").read_text()
    for line in filter(None, made.splitlines()):
        assert line in page


def test_what_is_compared_trained_as_many_samples_in_as_many_steps() -> None:
    groups: dict[tuple[str, float, int], list[dict[str, float]]] = {}
    for run in RUNS:
        groups.setdefault((run["data"], run["rate"], run["seed"]), []).append(run)
    for (data, *_), runs in groups.items():
        assert set(MAIN) <= {run["way"] for run in runs} <= set(WAYS[data])
        counts = [run["samples_backward"] for run in runs]
        assert max(counts) - min(counts) <= 0.005 * max(counts)  # a data set rounds every epoch, a stream once
        assert len({run["steps"] for run in runs}) == 1


@pytest.mark.parametrize("rate", [0.7, 0.9])
def test_a_run_of_either_way_counts_what_it_trained(rate: float) -> None:
    spec = RunSpec("digits", "random", rate, 300, recipe_for("digits").changed(epochs=2), split="validation")
    streamed, plain = by_stream(spec, "emp"), by_table(spec)
    assert streamed["samples_backward"] == pytest.approx(plain["samples_backward"], abs=2)
    assert streamed["steps"] == plain["steps"]
    all_of_it = plain["samples_backward"] / (1 - rate)
    assert streamed["samples_forward"] == pytest.approx(all_of_it + streamed["samples_backward"], rel=0.01)
