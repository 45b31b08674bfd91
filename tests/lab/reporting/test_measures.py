"""All measures of a run: means and paired differences by hand, where they stand, and where there are none."""

import io
import statistics

import pytest
from contrastive_results import contrastive_run, contrastive_runs
from made_results import comparison, made, made_own
from rich.console import Console

from emprune_lab.reporting.layout import to_markdown
from emprune_lab.reporting.overview import tables_markdown
from emprune_lab.reporting.statistics import summarise
from emprune_lab.reporting.tables import COST, MEASURES, OWN_BUDGET, RANKED, build_tables, rich_tables

NAMES = ["knn", "linear probe", "linear probe, 10 % of labels"]
T_OF_THREE = 4.302652729911275
"""The 97.5 % point of Student's t with two degrees of freedom."""


def sentence_run(policy, rate, seed, accuracy, f1, matthews, **changes):
    metrics = {"accuracy": accuracy, "f1": f1, "matthews": matthews}
    return made(policy, rate, seed, matthews, metric="matthews", metrics=metrics, **changes)


def test_every_measure_and_its_difference_by_hand():
    runs = contrastive_runs(policies=("random", "emp"), rates=(0.7,))
    (row,) = [row for row in summarise(runs) if row.policy == "emp"]
    assert [one.metric.name for one in row.measures] == NAMES
    for measure in row.measures:
        own, other = (
            [100 * run.metrics[measure.metric.name] for run in runs if run.policy == policy]
            for policy in ("emp", "random")
        )
        differences = [a - b for a, b in zip(own, other, strict=True)]
        assert measure.value.value == pytest.approx(statistics.mean(own))
        assert measure.difference.value == pytest.approx(statistics.mean(differences))
        half = T_OF_THREE * statistics.stdev(differences) / 3**0.5
        assert measure.difference.half_width == pytest.approx(half)
    assert row.measures[0].value == row.accuracy
    assert row.measures[0].difference == row.difference


def test_the_reference_full_and_own_budgets_have_no_difference():
    runs = [*contrastive_runs(), contrastive_run("infobatch-published", 0.7, 0)]
    for row in summarise(runs):
        none = row.policy in ("random", "full", "infobatch-published")
        assert all((one.difference is None) == none for one in row.measures)


def test_seeds_without_a_measure_are_left_out_of_it():
    runs = contrastive_runs(policies=("random", "emp"), rates=(0.7,))
    runs[4].metrics.pop("linear probe")  # emp, seed 1
    (row,) = [row for row in summarise(runs) if row.policy == "emp"]
    assert [one.value.count for one in row.measures] == [3, 2, 3]
    assert row.measures[1].difference.value == pytest.approx(
        100 * statistics.mean(runs[3 + seed].metrics[NAMES[1]] - runs[seed].metrics[NAMES[1]] for seed in (0, 2))
    )


def test_one_measure_is_no_table():
    for runs in (comparison(), [made("emp", 0.7, 0, metrics={"accuracy": 0.9})]):
        assert not any(row.measures for row in summarise(runs))
        assert [table.name for table in build_tables(runs)] == [RANKED, COST]


def test_the_table_stands_behind_the_headline_and_its_cells_in_every_rendering():
    runs = contrastive_runs()
    ranked, measures, cost = build_tables(runs)
    assert [table.name for table in (ranked, measures, cost)] == [RANKED, MEASURES, COST]
    assert measures.columns[:5] == (
        "policy", "kNN accuracy %", "kNN accuracy minus random", "linear probe %", "linear probe minus random",
    )  # fmt: skip
    assert len(measures.columns) == 7
    for first, second in zip(ranked.blocks, measures.blocks, strict=True):
        assert [line[:3] for line in first.lines] == [line[:3] for line in second.lines]
    markdown = tables_markdown(runs)
    assert markdown.index("### equal budgets") < markdown.index("### all measures") < markdown.index("### cost")
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(rich_tables(runs)[1])
    terminal = console.export_text()
    for cell in (cell for block in measures.blocks for line in block.lines for cell in line):
        assert cell.text in terminal
        assert cell.text in markdown


@pytest.mark.parametrize("width", [60, 100, 140])
def test_a_narrow_terminal_loses_the_headline_first_and_cuts_nothing(width):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(rich_tables(contrastive_runs())[1])
    text = console.export_text()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert "Not shown in this width: kNN accuracy %" in " ".join(text.split())
    assert "linear probe" in text.partition("Not shown")[0]


def test_a_measure_that_only_some_policies_have_is_a_dash_for_others():
    runs = [*comparison(), *(made("ucb", 0.7, s, 0.9, metrics={"accuracy": 0.9, "f1": 0.8}) for s in range(3))]
    table = build_tables(runs)[1]
    lines = {line[0].text: [cell.text for cell in line] for line in table.blocks[1].lines}
    assert lines["ucb"][3:] == ["80.00 ± 0.00", "–"]
    assert lines["emp"][1].startswith("94.13 ± ")
    assert lines["emp"][2].startswith("+3.13 [")
    assert lines["emp"][3:] == ["–", "–"]


def test_better_is_bold_where_lower_is_better():
    runs = [
        made(policy, 0.7, seed, 0.5, metrics={"accuracy": 0.5, "bits per character": bits + seed / 1000})
        for policy, bits in (("random", 2.0), ("emp", 1.9), ("lfl", 2.1))
        for seed in range(3)
    ]
    table = build_tables(runs)[1]
    tones = {line[0].text: line[-1].tone for line in table.blocks[0].lines}
    assert tones == {"random": "", "lfl": "worse", "emp": "better"}
    assert "Lower is better for bits per character." in table.note
    assert "bold: better" in table.note
    assert "**−0.100 [" in to_markdown(table)


def test_sentences_have_all_their_measures():
    runs = [
        sentence_run(policy, 0.7, seed, 0.8, 0.7 + seed / 100, 0.4) for policy in ("random", "emp") for seed in range(2)
    ]
    table = build_tables(runs)[1]
    assert table.columns == (
        "policy", "Matthews × 100", "Matthews × 100 minus random", "accuracy %", "accuracy minus random", "F1 %",
        "F1 minus random",
    )  # fmt: skip


def test_own_budgets_have_them_in_their_own_table():
    metrics = {"accuracy": 0.9, "f1": 0.8}
    runs = [made("emp", 0.7, 0, metrics=metrics, run_id="a"), made_own("infobatch-published", 0.7, 0)]
    runs[1].metrics.update(metrics)
    names = [table.name for table in build_tables(runs)]
    assert names == [RANKED, MEASURES, OWN_BUDGET, COST]
    own = build_tables(runs)[2]
    assert own.columns[:4] == ("policy", "accuracy %", "F1 %", "realised rate")
    assert [cell.text for cell in own.blocks[0].lines[0][:3]] == ["infobatch-published", "90.00", "80.00"]
    assert "infobatch-published" not in to_markdown(build_tables(runs)[1])


def test_an_unknown_measure_is_left_in_the_results():
    (row,) = summarise([made(metrics={"accuracy": 0.9, "beauty": 0.3, "f1": 0.8})])
    assert [one.metric.name for one in row.measures] == ["accuracy", "f1"]
    (row,) = summarise([made(metrics={"accuracy": 0.9, "beauty": 0.3})])
    assert row.measures == ()
