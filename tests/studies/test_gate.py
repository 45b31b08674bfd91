"""The study of the gated policy: its table is that of its runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import studies.gate.search
from studies.gate.table import references, table
from studies.gate.variants import built, exponent_for

from emprune import IdBatches, Pruner

FOLDER = Path(__file__).parents[2] / "studies" / "gate"


def test_table_and_page_are_those_of_the_runs() -> None:
    runs = json.loads((FOLDER / "runs.json").read_text())
    made = table(runs)
    assert made == (FOLDER / "table.md").read_text()
    assert made.strip() in (FOLDER / "README.md").read_text()
    assert made.count("\n") - 2 == len(
        {(run["data"], run["model"], run["label_noise"], run["prune_rate"]) for run in runs}
    )


def test_runs_are_paired_with_others_that_trained_as_many_samples() -> None:
    counts: dict[tuple[object, ...], set[int]] = {}
    for run in [*references("emp"), *references("random"), *json.loads((FOLDER / "runs.json").read_text())]:
        setting = tuple(run[name] for name in ("data", "model", "epochs", "num_samples", "label_noise", "prune_rate"))
        counts.setdefault((*setting, run["seed"]), set()).add(run["samples_backward"])
    assert {len(found) for found in counts.values()} == {1}


def test_the_search_page_is_that_of_its_runs() -> None:
    runs = json.loads((FOLDER / "search.json").read_text())
    assert studies.gate.search.table(runs) == (FOLDER / "search.md").read_text()
    assert min(run["seed"] for run in runs) >= 300


@pytest.mark.parametrize("ess", [0.2, 0.6])
def test_an_exponent_is_found_for_an_effective_sample_size(ess: float) -> None:
    scores = np.random.default_rng(1).gamma(0.5, size=5000).astype(np.float32)
    powers = (scores.astype(np.float64) / scores.mean()) ** exponent_for(scores, ess)
    assert powers.sum() ** 2 / (len(powers) * (powers**2).sum()) == pytest.approx(ess, abs=0.01)


@pytest.mark.parametrize("label", studies.gate.search.VARIANTS)
def test_every_variant_selects(label: str) -> None:
    pruner = Pruner(400, built(label), prune_rate=0.7, num_epochs=4)
    for _ in pruner.epochs():
        for ids in IdBatches(pruner, 40):
            pruner.loss(ids, (ids % 7 + 0.1).float(), (ids % 5).float())
    assert pruner.report().realised_rate == pytest.approx(0.7)


def test_the_page_shows_the_gap_that_was_tracked() -> None:
    assert (FOLDER / "tracking.md").read_text() in (FOLDER / "README.md").read_text()
