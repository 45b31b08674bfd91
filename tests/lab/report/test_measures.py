"""All measures of a run: means and paired differences by hand, which way is better, and where they stand."""

import statistics

import pytest
from contrastive_results import contrastive_run, contrastive_runs
from made_results import BITS, bits, comparison, made, made_own

from emprune_lab.report.layout import to_markdown
from emprune_lab.report.overview import overview_markdown
from emprune_lab.report.statistics import summarise
from emprune_lab.report.tables import COST, LOSSLESS, MEASURES, OWN_BUDGET, RANKED, build_tables

NAMES = ["knn", "linear probe", "linear probe, 10 % of labels"]
T_OF_THREE = 4.302652729911275
"""The 97.5 % point of Student's t with two degrees of freedom."""


def row_of(policy, runs):
    (row,) = [row for row in summarise(runs) if row.policy == policy]
    return row


def lines_of(table):
    """Policy → the rest of its line."""
    return {line[1].text: line[2:] for line in table.lines}


def test_every_measure_and_its_difference_by_hand():
    runs = contrastive_runs(policies=("random", "emp"), rates=(0.7,))
    row = row_of("emp", runs)
    assert [one.metric.name for one in row.measures] == NAMES
    for measure in row.measures:
        own, other = (
            [100 * run.metrics[measure.metric.name] for run in runs if run.policy == policy]
            for policy in ("emp", "random")
        )
        differences = [a - b for a, b in zip(own, other, strict=True)]
        assert measure.mean.value == pytest.approx(statistics.mean(own))
        assert measure.difference.value == pytest.approx(statistics.mean(differences))
        half = T_OF_THREE * statistics.stdev(differences) / 3**0.5
        assert measure.difference.half_width == pytest.approx(half)


def test_the_reference_full_and_own_budgets_have_no_difference():
    for row in summarise([*contrastive_runs(), contrastive_run("infobatch-published", 0.7, 0)]):
        none = row.policy in ("random", "full", "infobatch-published")
        assert all((one.difference is None) == none for one in row.measures)


def test_seeds_without_a_measure_are_left_out_of_it():
    runs = contrastive_runs(policies=("random", "emp"), rates=(0.7,))
    runs[4].metrics.pop("linear probe")  # emp, seed 1
    row = row_of("emp", runs)
    assert [one.mean.count for one in row.measures] == [3, 2, 3]
    assert row.measures[1].difference.value == pytest.approx(
        100 * statistics.mean(runs[3 + seed].metrics[NAMES[1]] - runs[seed].metrics[NAMES[1]] for seed in (0, 2))
    )


def test_an_unknown_measure_is_left_in_the_results():
    (row,) = summarise([made(metrics={"accuracy": 0.9, "beauty": 0.3, "f1": 0.8})])
    assert [one.metric.name for one in row.measures] == ["accuracy", "f1"]


def test_one_measure_is_no_table():
    for runs in (comparison(), [made("emp", 0.7, 0, metrics={"accuracy": 0.9})]):
        assert [table.name for table in build_tables(runs) if table.name != LOSSLESS] == [RANKED, COST]


def test_the_table_of_measures_begins_with_the_headline():
    ranked, lossless, measures, cost = build_tables(contrastive_runs())
    assert [table.name for table in (ranked, lossless, measures, cost)] == [RANKED, LOSSLESS, MEASURES, COST]
    assert measures.columns[:6] == (
        "rate", "policy", "kNN accuracy %", "kNN accuracy minus random", "linear probe %", "linear probe minus random",
    )  # fmt: skip
    assert len(measures.columns) == 8
    assert [line[:4] for line in ranked.lines] == [line[:4] for line in measures.lines]


def test_a_measure_that_only_some_policies_have_is_a_dash_for_others():
    runs = [*comparison(), *(made("ucb", 0.7, s, 0.9, metrics={"accuracy": 0.9, "f1": 0.8}) for s in range(3))]
    texts = {policy: [cell.text for cell in line] for policy, line in lines_of(build_tables(runs)[2]).items()}
    assert texts["ucb"][2:] == ["80.00", "–"]
    assert texts["lfl"][2:] == ["–", "–"]


def test_own_budgets_have_all_measures_in_their_own_table():
    metrics = {"accuracy": 0.9, "f1": 0.8}
    runs = [made("emp", 0.7, 0, metrics=metrics, run_id="a"), made_own("infobatch-published", 0.7, 0)]
    runs[1].metrics.update(metrics)
    _, measures, own, _ = build_tables(runs)
    assert own.name == OWN_BUDGET
    assert own.columns[:6] == ("rate", "policy", "accuracy %", "F1 %", "speed-up at equal accuracy", "realised rate")
    assert [cell.text for cell in own.lines[0][1:4]] == ["infobatch-published", "90.00", "80.00"]
    assert "infobatch-published" not in to_markdown(measures)


def test_less_is_a_gain_where_lower_is_better():
    emp, lfl = row_of("emp", bits()), row_of("lfl", bits())
    assert emp.mean.value == pytest.approx(1.81)
    assert emp.difference.value == pytest.approx(-0.1)
    gains = {row.policy: row.measures[0].gain for row in summarise(bits())}
    assert gains == {"full": 0, "random": 0, "lfl": -1, "infobatch": 0, "emp": 1}
    assert emp.gap_closed.value == pytest.approx(0.1 / 0.4)
    assert lfl.gap_closed.value < 0
    worse = [made(p, r, s, 3 - v[s], metric="bits per character") for (p, r), v in BITS.items() for s in range(3)]
    assert all(row.gap_closed is None for row in summarise(worse))


def test_tables_and_overview_mark_the_lower_value():
    table = build_tables(bits())[0]
    assert table.columns[2] == "bits per character ↓"
    lines = lines_of(table)
    assert (lines["emp"][0].text, lines["emp"][1].tone) == ("1.810 ± 0.025", "better")
    assert (lines["lfl"][1].tone, lines["infobatch"][1].tone) == ("worse", "")
    overview = {line.split(" | ")[0]: line for line in overview_markdown(bits()).splitlines()}
    assert "**−0.100 [" in overview["| emp"]
    assert "**" not in overview["| lfl"]
