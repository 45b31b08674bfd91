"""The comparison as text: what stands where, and in which form."""

import io

import pytest
from made_results import comparison, made, made_own, many_policies
from rich.console import Console

from emprune.errors import ArgumentError
from emprune_lab.reporting.estimate import Estimate
from emprune_lab.reporting.formats import format_difference, format_fraction, format_mean, format_ratio, signed
from emprune_lab.reporting.layout import to_markdown
from emprune_lab.reporting.overview import overview_markdown, tables_markdown
from emprune_lab.reporting.tables import COST, OWN_BUDGET, RANKED, build_tables, rich_tables


def estimate(value, low=None, high=None, count=3):
    return Estimate(value, low, high, None, count)


def printed(table, width=160):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_numbers():
    assert signed(-0.001) == "+0.00"
    assert format_mean(estimate(91.234, 90.0, 92.0)) == "91.23 ± 1.00"
    assert format_mean(estimate(91.234)) == "91.23"
    assert format_difference(estimate(-1.5, -2, 0.25)) == "−1.50 [−2.00, +0.25]"
    assert format_difference(estimate(1.5)) == "+1.50"
    assert format_difference(None) == "–"
    assert format_fraction(estimate(0.5, -0.25, 1.5)) == "0.50 [−0.25, 1.50]"
    assert format_fraction(estimate(-3.0)) == "(−3.00)"
    assert format_fraction(estimate(-3.0, count=1)) == "−3.00"


def test_full_comes_first_and_is_compared_with_nothing():
    ranked, cost = build_tables(comparison())
    assert [block.rate for block in ranked.blocks] == [block.rate for block in cost.blocks] == ["0", "0.7", "0.9"]
    (full,) = ranked.blocks[0].lines
    assert [cell.text for cell in full[:4]] == ["full", "96.00 ± 2.48", "–", "–"]
    assert [cell.text for cell in full[-2:]] == ["3,000", "3,000"]
    (full,) = cost.blocks[0].lines
    assert [cell.text for cell in full] == ["full", "0.000", "3,000", "3,000", "300", "4.00", "0", "0.010", "–", "–"]


def test_cost_of_a_line_by_hand():
    seconds = {"total": 9.0, "train": 1.5, "score": 0.25, "select": 0.25, "evaluate": 1.0}
    runs = [made("full", 0.0, 0), made("divbs", 0.7, 0, samples_forward=3900, seconds=seconds)]
    ranked, cost = build_tables(runs)
    assert [cell.text for cell in cost.blocks[1].lines[0]] == [
        "divbs", "0.700", "900", "3,900", "90", "1.50", "0.250", "0.250", f"{3.01 / 2:.2f}", f"{3.01 / 2 * 0.3:.2f}",
    ]  # fmt: skip
    assert [cell.text for cell in ranked.blocks[1].lines[0][-2:]] == ["900", "3,900"]
    assert format_ratio(None) == "–"


def test_what_a_score_was_trained_with_stands_behind_the_budget():
    ranked, cost = build_tables([*comparison(), made("el2n", 0.7, 0, samples_backward_scoring=300)])
    for table in (ranked, cost):
        (line,) = [line for line in table.blocks[1].lines if line[0].text == "el2n"]
        assert "900 + 300" in [cell.text for cell in line]
        assert "behind a static score" in table.note
    assert all("static score" not in table.note for table in build_tables(comparison()))


def test_the_reference_is_not_compared_with_itself():
    random = build_tables(comparison())[0].blocks[1].lines[0]
    assert [cell.text for cell in random[2:4]] == ["–", "–"]


def test_tone_marks_intervals_without_zero():
    table = build_tables(comparison())[0]
    tones = {(block.rate, line[0].text): line[2].tone for block in table.blocks for line in block.lines}
    assert tones["0.7", "emp"] == "better"
    assert tones["0.7", "lfl"] == "worse"
    assert tones["0.9", "emp"] == ""


def test_a_named_reference_heads_its_column():
    table = build_tables(comparison(), reference="lfl")[0]
    assert "minus lfl" in table.columns
    assert "lfl at the same rate" in tables_markdown(comparison(), reference="lfl")
    with pytest.raises(ArgumentError, match="reference is 'ucb'"):
        rich_tables(comparison(), reference="ucb")


def test_own_budgets_stand_in_a_table_of_their_own():
    results = [*comparison(), made_own("infobatch-published", 0.7, 0), made_own("infobatch-published", 0.9, 0, 1200)]
    ranked, own, cost = build_tables(results)
    assert [table.name for table in (ranked, own, cost)] == [RANKED, OWN_BUDGET, COST]
    lines = {table.name: [line for block in table.blocks for line in block.lines] for table in (ranked, own, cost)}
    assert "infobatch-published" not in [line[0].text for line in lines[RANKED]]
    assert [[cell.text for cell in line] for line in lines[OWN_BUDGET]] == [
        ["infobatch-published", "90.00", "0.500", "1,500", "900", "90"],
        ["infobatch-published", "90.00", "0.600", "1,200", "300", "30"],
    ]
    assert "infobatch-published" in [line[0].text for line in lines[COST]]
    assert "**" not in to_markdown(own)
    overview = overview_markdown(results)
    assert "infobatch-published" not in overview
    assert overview == overview_markdown(comparison())


def test_every_cell_is_in_both_renderings():
    for table, drawn in zip(build_tables(many_policies()), rich_tables(many_policies()), strict=True):
        terminal, markdown = printed(drawn), to_markdown(table)
        for cell in (cell for block in table.blocks for line in block.lines for cell in line):
            assert cell.text in terminal
            assert cell.text in markdown


@pytest.mark.parametrize("width", [50, 80, 100])
def test_a_narrow_terminal_loses_columns_but_cuts_no_number(width):
    ranked, cost = rich_tables(comparison(label_noise=0.2))
    text = printed(ranked, width)
    assert "…" not in text + printed(cost, width)
    assert max(map(len, (text + printed(cost, width)).splitlines())) <= width
    (emp,) = [line for line in text.splitlines() if "emp" in line and "+3.13" in line]
    assert "94.13 ± " in emp
    assert "+3.13 [+" in emp
    assert "Not shown in this width: gap closed" in " ".join(text.split())


def test_markdown_is_one_line_a_policy_and_a_note():
    lines = to_markdown(build_tables(comparison())[0]).splitlines()
    assert len(lines) == 2 + 6 + 2
    assert {line.count("|") for line in lines[:8]} == {9}
    assert lines[4].startswith("| 0.7 | lfl | 88.93 ± ")
    assert "**+3.13 [" in lines[5]
    assert "**" not in lines[4]  # a loss is not stressed


@pytest.mark.parametrize(("interval", "name"), [("student", "Student’s t"), ("bootstrap", "percentile bootstrap")])
def test_notes_name_the_interval_and_what_it_covers(interval, name):
    text = tables_markdown(comparison(), interval=interval)
    assert text.count(f"half the 95 % interval of the mean over 3 seeds ({name})") == 2  # overview and ranked table
    assert "of gap closed (percentile bootstrap)" in text
    assert text.count("Intervals speak of new seeds, not of another test set") == 2
    assert "One seed" not in text
    assert "One seed: no interval" in tables_markdown(comparison(seeds=1), interval=interval)


def test_a_shared_note_is_printed_once():
    tables = rich_tables([*comparison(), *comparison(label_noise=0.2)])
    text = "".join(map(printed, tables))
    assert len(tables) == 4
    assert text.count("Intervals speak of") == text.count("Means over the seeds.") == 1


def test_tables_of_every_setting_and_true_labels_only_under_noise():
    clean, _, noisy, _ = build_tables([*comparison(), *comparison(label_noise=0.2)])
    assert clean.setting == "digits · mlp · test set · clean labels"
    assert noisy.setting == "digits · mlp · test set · 20 % wrong labels"
    assert "true labels %" not in clean.columns
    assert "true labels %" in noisy.columns


def test_one_seed():
    emp = build_tables(comparison(seeds=1))[0].blocks[1].lines[-1]
    assert [cell.text for cell in emp[:4]] == ["emp", "93.00", "+3.00", "0.60"]
    assert emp[2].tone == ""


def test_the_overview_has_a_column_for_every_setting_and_rate():
    results = [*comparison(), *comparison(anneal=0.125), *comparison(anneal=0.125, model="cnn", label_noise=0.4)]
    lines = overview_markdown(results).splitlines()
    assert lines[0] == (
        "| policy | 40% wrong labels, cnn, 12.5% annealed, "
        "0.7 | 40% wrong labels, cnn, 12.5% annealed, 0.9 | clean, mlp, 0.7 | clean, mlp, 0.9 | clean, mlp, 12.5% "
        "annealed, 0.7 | clean, mlp, 12.5% annealed, 0.9 |"
    )
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| full", "| random", "| lfl", "| emp"]
    assert all(line.count("94.13 ± ") == 3 for line in lines if line.startswith("| emp"))


def test_full_alone_has_an_overview():
    assert "96.00 ± 2.48" in overview_markdown([run for run in comparison() if run.policy == "full"])
