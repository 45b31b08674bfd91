"""Speed-up at equal metric value: by hand, its bounds, and that of the committed results."""

from pathlib import Path

import pytest
from made_results import bits, comparison, made

from emprune_lab.records.results import load_results
from emprune_lab.report.equal import Ladder, SpeedUp
from emprune_lab.report.statistics import summarise
from emprune_lab.report.tables import OWN_BUDGET, RANKED, build_tables

STUDIES = Path(__file__).parents[3] / "studies"
PLAIN = Ladder.of([(1000, 90.0), (100, 80.0), (300, 86.0)])


@pytest.mark.parametrize(
    ("samples", "value", "expected"),
    [
        (100, 80.0, SpeedUp(1.0)),
        (100, 86.0, SpeedUp(3.0)),
        (300, 83.0, SpeedUp(pytest.approx(300**0.5 * 10 / 300))),  # half way, in logarithms, from 100 to 300
        (100, 90.0, SpeedUp(10.0)),
        (100, 90.1, SpeedUp(10.0, "≥")),
        (500, 79.9, SpeedUp(0.2, "≤")),
    ],
)
def test_by_hand(samples, value, expected):
    assert PLAIN.speed_up(samples, value) == expected


def test_plain_training_may_stop_where_it_was_best():
    ladder = Ladder.of([(100, 80.0), (200, 90.0), (400, 70.0)])
    assert ladder.speed_up(100, 90.0) == SpeedUp(2.0)
    assert ladder.speed_up(400, 75.0) == SpeedUp(0.25, "≤")
    assert ladder.speed_up(100, 91.0) == SpeedUp(4.0, "≥")


def test_one_budget_is_no_ladder():
    assert Ladder.of([(100, 80.0), (100, 81.0)]) is None
    assert Ladder.of([]) is None
    assert all(row.speed_up is None for row in summarise(comparison()))


def test_lower_may_be_better():
    runs = [*bits(), *(made("short", 0.7, seed, 2.0, metric="bits per character") for seed in range(3))]
    speed_ups = {row.policy: row.speed_up for row in summarise(runs)}
    assert (speed_ups["full"], speed_ups["short"]) == (None, None)
    # EMP has 1.81 with the 900 samples with which short has 2.0; full has 1.51 with 3,000.
    assert speed_ups["emp"] == SpeedUp(pytest.approx((10 / 3) ** (0.19 / 0.49)))
    assert speed_ups["lfl"] == SpeedUp(1.0, "≤")


@pytest.mark.parametrize(
    ("study", "expected"),
    [
        ("fashion-mnist/clean-and-mislabelled", {("emp", 0.7): 2.05, ("emp", 0.9): 1.45, ("lfl", 0.7): 1.66}),
        ("digits/all-methods", {("emp", 0.7): 2.23, ("emp", 0.9): 1.98, ("infobatch", 0.7): 1.90}),
        ("language/cola", {("emp", 0.7): 1.24, ("lfl", 0.7): 1.56}),
        ("language/tinyshakespeare", {("emp", 0.7): 1.05}),
    ],
)
def test_the_committed_results(study, expected):
    rows = [row for row in summarise(load_results(STUDIES / study)) if not row.setting.label_noise]
    found = {(row.policy, row.prune_rate): row.speed_up for row in rows}
    assert {one: round(found[one].value, 2) for one in expected} == expected
    assert {found[one].bound for one in expected} == {""}


def test_it_stands_in_the_tables():
    tables = {table.name: table for table in build_tables(load_results(STUDIES / "digits" / "all-methods"))}
    for name in (RANKED, OWN_BUDGET):
        assert "speed-up at equal accuracy" in tables[name].columns
    place = tables[RANKED].columns.index("speed-up at equal accuracy")
    said = {(line[0].text, line[1].text): line[place].text for line in tables[RANKED].lines}
    assert (said["0.7", "emp"], said["0", "full"], said["0.7", "static-random"]) == ("2.23", "–", "≤ 0.33")
