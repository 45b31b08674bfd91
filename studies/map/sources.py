"""The runs of all studies on test splits that have dynamic random beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from studies.map.runs import Place, Run, read

from emprune_lab.records.results import Result, load_results
from emprune_lab.report.costs import own_budget

STUDIES = Path(__file__).parents[1]
OWN = STUDIES / "map" / "runs.json"
RESULTS = (
    "fashion-mnist/clean-and-mislabelled", "fashion-mnist/annealing", "fashion-mnist/imbalance", "digits/all-methods",
    "digits/ladder", "digits/wrong-labels", "cifar100-cpu", "language/cola", "language/mrpc",
    "language/tinyshakespeare", "simclr/policies", "headline",
)  # fmt: skip
"""Folders with a results.json; where two hold the same run, the later one counts. Left out: runs on validation splits,
by which something was chosen."""
GATE, CANVASES = "gate/runs.json", "tasks/runs.json"
"""Runs of gated EMP in the settings of the others, and those of tasks that are none of the laboratory's."""


def committed_runs() -> list[Run]:
    """Every run of the other studies; policies that decide themselves how much they train are left out."""
    results = [run for name in RESULTS for run in load_results(STUDIES / name)]
    results += [Result(**entry) for entry in json.loads((STUDIES / GATE).read_text("utf-8"))]
    return [*(Run.of(run) for run in results if run.split == "test" and not own_budget(run.policy)), *_canvases()]


def own_runs() -> list[Run]:
    """Those that were made for this study."""
    return read(OWN)


def _canvases() -> Iterator[Run]:
    for run in json.loads((STUDIES / CANVASES).read_text("utf-8")):
        settings, percent = run["settings"], 100 * run["value"]
        recipe = json.dumps({**settings, "epochs": None}, sort_keys=True)
        yield Run(
            place=Place("canvases", run["task"], settings["train_size"], 0.0, 1.0, run["metric"], recipe),
            anneal=0.0,
            epochs=settings["epochs"],
            prune_rate=0.0 if run["policy"] == "full" else settings["prune_rate"],
            policy=run["policy"],
            seed=run["seed"],
            samples=run["samples_backward"],
            value=percent,
            accuracy=percent,
            remembered=100 * run["train_value"],
            seconds=run["seconds"],
        )
