"""The lossless rate by hand: which rate it is, what it saves, and where it stands."""

import pytest
from made_results import made

from emprune_lab.records.metrics import metric_named
from emprune_lab.report.intervals import Estimate
from emprune_lab.report.lossless import MARGIN, is_lossless, lossless_rates, seconds_saved
from emprune_lab.report.statistics import summarise
from emprune_lab.report.tables import LOSSLESS, build_tables

# Points of 100 lost to full at each rate; seeds vary by 0.02 around it, so that intervals reach 0.05 further.
LOST = {
    "emp": {0.3: -0.1, 0.5: 0.2, 0.7: 0.4},
    "random": {0.3: 0.5, 0.5: 0.1, 0.7: 0.1},
    "lfl": {0.3: 1.0, 0.5: 3.0, 0.7: 9.0},
}
FULL = [0.95, 0.96, 0.955]
NOISE = [0.0002, -0.0002, 0.0]


def runs_of(lost=LOST, seeds=3, **changes):
    runs = [made("full", 0.0, seed, FULL[seed], **changes) for seed in range(seeds)]
    for policy, rates in lost.items():
        for rate, points in rates.items():
            values = [FULL[seed] - points / 100 + NOISE[seed] for seed in range(seeds)]
            runs += [made(policy, rate, seed, values[seed], **changes) for seed in range(seeds)]
    return runs


def test_the_highest_rate_that_loses_less_than_the_margin():
    found = {one.policy: one for one in lossless_rates(summarise(runs_of()))}
    assert {policy: one.rate for policy, one in found.items()} == {"random": 0.7, "lfl": None, "emp": 0.5}
    assert found["emp"].row.to_full.value == pytest.approx(-0.2)
    assert found["emp"].next.prune_rate == 0.7
    assert found["random"].next is None
    assert found["lfl"].next.prune_rate == 0.3


@pytest.mark.parametrize(
    ("estimate", "metric", "expected"),
    [
        (Estimate(0.5, -MARGIN + 1e-6, 1.3, 3), "accuracy", True),
        (Estimate(0.5, -MARGIN, 1.3, 3), "accuracy", False),
        (Estimate(0.5, None, None, 1), "accuracy", False),
        (Estimate(0.0, -0.5, 0.0059, 3), "bits per character", True),  # lower is better, 0.02 bits are a point
        (Estimate(0.0, -0.5, 0.0061, 3), "bits per character", False),
    ],
)
def test_it_is_the_worse_end_that_counts(estimate, metric, expected):
    assert is_lossless(estimate, metric_named(metric)) is expected


def test_without_full_with_one_seed_and_for_own_budgets_nothing_is_said():
    assert lossless_rates(summarise([run for run in runs_of() if run.policy != "full"])) == []
    assert lossless_rates(summarise(runs_of(seeds=1))) == []
    own = lossless_rates(summarise(runs_of({"infobatch-published": {0.3: 0.0}})))
    assert own == []
    assert not [table for table in build_tables(runs_of(seeds=1)) if table.name == LOSSLESS]


def test_what_it_saves_is_that_of_the_samples_less_the_overhead():
    seconds = {"total": 0.0, "train": 3.0, "score": 0.0, "select": 0.0, "evaluate": 0.0}  # 1 ms a sample
    runs = [made("full", 0.0, seed, 0.95, seconds=seconds) for seed in (0, 1)]
    runs += [made("emp", 0.7, seed, 0.95 + seed / 1e4, seconds={**seconds, "train": 1.35}) for seed in (0, 1)]  # 1.5 ms
    full, emp = summarise(runs)
    assert seconds_saved(emp, full) == pytest.approx(1 - 0.3 * 1.5)
    assert seconds_saved(full, full) == 0
    elsewhere = summarise([*runs[:2], *(made("emp", 0.7, seed, 0.95, device="another") for seed in (0, 1))])
    assert seconds_saved(elsewhere[1], elsewhere[0]) is None


def test_it_is_a_table():
    (table,) = [table for table in build_tables(runs_of()) if table.name == LOSSLESS]
    assert table.columns == (
        "rate",
        "policy",
        "accuracy minus full",
        "seconds saved %, at least",
        "next rate",
        "minus full there",
    )
    lines = [[cell.text for cell in line] for line in table.lines]
    assert [line[:2] for line in lines] == [["≥ 0.7", "random"], ["0.5", "emp"], ["–", "all others"]]
    assert lines[0][2].startswith("−0.10 [−0.15, ")
    assert lines[1][4:] == ["0.7", "−0.40 [−0.45, −0.35]"]
    assert lines[2][2:] == ["–", "–", "0.3", "–"]
    (none,) = [table for table in build_tables(runs_of({"lfl": LOST["lfl"]})) if table.name == LOSSLESS]
    assert [[cell.text for cell in line] for line in none.lines] == [["–", "all", "–", "–", "0.3", "–"]]
