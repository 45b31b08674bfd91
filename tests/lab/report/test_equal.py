"""Speed-up at equal metric value: by hand, its bounds and intervals, in seconds, and that of the committed results."""

from pathlib import Path

import numpy as np
import pytest
from made_results import bits, comparison, made
from scipy.optimize import brentq
from scipy.stats import ttest_1samp

from emprune_lab.records.results import load_results
from emprune_lab.report.equal import LEAST_SEEDS, Ladder, SpeedUp, speed_up
from emprune_lab.report.formats import format_speed_up
from emprune_lab.report.statistics import summarise
from emprune_lab.report.tables import COST, OWN_BUDGET, RANKED, build_tables

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
    assert (speed_ups["emp"].value, speed_ups["emp"].bound) == (pytest.approx((10 / 3) ** (0.19 / 0.49)), "")
    assert speed_ups["emp"].low < speed_ups["emp"].value < speed_ups["emp"].high
    assert speed_ups["lfl"] == SpeedUp(1.0, "≤", 1.0, 1.0, "≤", "≤", 3)  # all its seeds are worse than those of short
    assert (speed_ups["emp"].sign, speed_ups["lfl"].sign) == (1, -1)


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
    assert (said["0.7", "emp"], said["0", "full"]) == ("2.23 [0.76, ≥ 3.33]", "–")
    assert said["0.7", "static-random"] == "≤ 0.33 [≤ 0.33, 0.39]"


SAMPLES = (500.0, 1000.0, 4000.0)
MEANS, SPREAD = np.array([80.0, 86.0, 90.0]), 0.6


def drawn(rng, count, value):
    """Plain training at three budgets and a policy, by seed, with noise that all share and noise of their own."""
    shared = rng.normal(0, SPREAD, (count, 1))
    values = shared + rng.normal(0, SPREAD, (count, 4)) + np.array([*MEANS, value])
    plain = {samples: dict(enumerate(column)) for samples, column in zip(SAMPLES, values.T[:3], strict=True)}
    return plain, dict(enumerate(values.T[3]))


@pytest.mark.parametrize("count", [3, 5, 20])
def test_the_ends_are_where_the_difference_becomes_significant(count):
    plain, policy = drawn(np.random.default_rng(count), count, 88.0)
    found = speed_up(plain, 1000.0, policy)

    def p_value(log_samples):
        at = [np.interp(log_samples, np.log(SAMPLES), [plain[one][seed] for one in SAMPLES]) for seed in policy]
        return ttest_1samp(np.array(list(policy.values())) - at, 0).pvalue - 0.05

    assert (found.bound, found.low_bound, found.high_bound, found.count) == ("", "", "", count)
    middle = np.log(1000 * found.value)
    assert np.log(1000 * found.low) == pytest.approx(brentq(p_value, np.log(500), middle), abs=1e-6)
    assert np.log(1000 * found.high) == pytest.approx(brentq(p_value, middle, np.log(4000)), abs=1e-6)


def test_nothing_is_claimed_beyond_the_plain_runs():
    noise = np.array([-0.2, 0.1, 0.1])

    def found(value, spread=1.0):
        plain = {samples: dict(enumerate(mean + spread * noise)) for samples, mean in zip(SAMPLES, MEANS, strict=True)}
        policy = dict(enumerate(value + spread * noise[::-1]))
        return speed_up(plain, 1000.0, policy)

    assert found(95.0) == SpeedUp(4.0, "≥", 4.0, 4.0, "≥", "≥", 3)
    assert found(70.0) == SpeedUp(0.5, "≤", 0.5, 0.5, "≤", "≤", 3)
    near = found(90.1)  # not significantly above the longest
    assert (near.bound, near.low_bound, near.high, near.high_bound) == ("≥", "", 4.0, "≥")
    assert 2 < near.low < 4
    assert found(86.0, spread=30.0) == SpeedUp(pytest.approx(1.0), "", 0.5, 4.0, "≤", "≥", 3)  # says nothing


def test_plain_training_that_gets_worse_with_more_samples_ends_the_interval_before():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, (4, 5))
    plain = {s: dict(enumerate(m + n)) for s, m, n in zip(SAMPLES, (80.0, 90.0, 70.0), noise, strict=False)}
    found = speed_up(plain, 1000.0, dict(enumerate(85.0 + noise[3])))
    assert found.low == pytest.approx(0.707, abs=0.05)
    assert found.high == pytest.approx(0.707, abs=0.05)
    assert (found.low_bound, found.high_bound) == ("", "")


def test_seeds_that_not_all_have_are_left_out_and_few_have_no_interval():
    plain, policy = drawn(np.random.default_rng(1), 6, 88.0)
    del plain[500.0][0], plain[4000.0][1], policy[2]
    found = speed_up(plain, 1000.0, policy)
    assert found.count == 3
    only = {samples: {seed: runs[seed] for seed in (3, 4, 5)} for samples, runs in plain.items()}
    assert found == speed_up(only, 1000.0, {seed: policy[seed] for seed in (3, 4, 5)})
    few = {seed: policy[seed] for seed in (3, 4)}
    assert LEAST_SEEDS == 3
    assert speed_up(plain, 1000.0, few).low is None
    assert speed_up(plain, 1000.0, few, least_seeds=2).low is not None
    assert speed_up(plain, 1000.0, {9: 88.0}) is None
    assert speed_up({500.0: plain[500.0]}, 1000.0, policy) is None
    assert speed_up({}, 1000.0, {}) is None


def test_seeds_that_agree_to_the_last_digit_have_no_interval():
    plain = {100: {0: 80.0, 1: 81.0, 2: 82.0}, 400: {0: 90.0, 1: 91.0, 2: 92.0}}
    found = speed_up(plain, 100, {0: 85.0, 1: 86.0, 2: 87.0})
    assert (found.value, found.low, found.high, found.count) == (2.0, None, None, 3)


@pytest.mark.parametrize("count", [3, 5])
@pytest.mark.parametrize("value", [82.0, 86.0, 89.0])
def test_it_holds_in_95_percent(count, value):
    rng, repetitions = np.random.default_rng(5), 1000
    truth = Ladder(SAMPLES, tuple(MEANS)).speed_up(1000.0, value).value
    found = [
        speed_up(*(lambda plain, policy: (plain, 1000.0, policy))(*drawn(rng, count, value)))
        for _ in range(repetitions)
    ]
    low = np.array([0.0 if one.low_bound == "≤" else one.low for one in found])
    high = np.array([np.inf if one.high_bound == "≥" else one.high for one in found])
    held = np.mean((low <= truth) & (truth <= high))
    assert 0.93 < held < 0.975


def test_a_bound_from_above_is_not_lowered_by_the_clock():
    below = SpeedUp(0.5, "≤", 0.5, 0.5, "≤", "≤", 3)
    assert (below.slowed(2.0).value, below.slowed(2.0).high) == (0.5, 0.5)
    assert format_speed_up(below.slowed(2.0)) == "≤ 0.50 [≤ 0.50]"
    above = SpeedUp(4.0, "≥", 4.0, 4.0, "≥", "≥", 3)
    assert format_speed_up(above.slowed(2.0)) == "≥ 2.00 [≥ 2.00]"
    assert (above.sign, above.slowed(2.0).sign, above.slowed(5.0).sign, below.slowed(2.0).sign) == (1, 1, 0, -1)


def test_seconds_pay_for_the_overhead_and_gain_nothing_from_a_quiet_hour():
    def timed(policy, rate, seed, value, train):
        seconds = {"total": 0.0, "train": train, "score": 0.0, "select": 0.0, "evaluate": 0.0}
        return made(policy, rate, seed, value, seconds=seconds)

    values = [0.001, -0.001, 0.0005]
    runs = [timed("full", 0.0, seed, 0.95 + value, 6.0) for seed, value in enumerate(values)]  # 2 ms a sample
    runs += [
        timed("short", 0.7, seed, 0.90 - value, 1.8 + 10 * seed) for seed, value in enumerate(values)
    ]  # 2 ms at best
    runs += [timed("emp", 0.7, seed, 0.93 + value / 2, 2.7 + seed) for seed, value in enumerate(values)]  # 3 ms at best
    runs += [timed("lfl", 0.7, seed, 0.92 + value / 2, 0.9) for seed, value in enumerate(values)]  # seemingly 1 ms
    rows = {row.policy: row for row in summarise(runs)}
    assert rows["emp"].cost.overhead == pytest.approx(1.5)
    assert rows["lfl"].cost.overhead == 1.0
    emp = rows["emp"]
    for name, divided in (("value", 1.5), ("low", 1.5), ("high", 1.0)):
        assert getattr(emp.speed_up_in_seconds, name) == pytest.approx(getattr(emp.speed_up, name) / divided)
    assert rows["lfl"].speed_up_in_seconds == rows["lfl"].speed_up
    assert "speed-up at equal accuracy, in seconds" in build_tables(runs)[-1].columns
    elsewhere = [run if run.policy != "full" else made("full", 0.0, run.seed, 0.95, device="b") for run in runs]
    assert all(row.speed_up_in_seconds is None for row in summarise(elsewhere))
    cost = next(table for table in build_tables(elsewhere) if table.name == COST)
    assert cost.columns[-1] == "efficiency"
