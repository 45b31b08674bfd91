"""The comparison as text: what stands where, and in which form."""

import io

import pytest
from made_results import comparison
from rich.console import Console

from emprune.lab.reporting.bootstrap import Estimate
from emprune.lab.reporting.statistics import summarise
from emprune.lab.reporting.tables import (
    build_table,
    build_tables,
    format_difference,
    format_fraction,
    format_mean,
    rich_tables,
    signed,
    to_markdown,
)  # fmt: skip


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
    table = build_table(summarise(comparison()))
    assert [block.rate for block in table.blocks] == ["0", "0.7", "0.9"]
    (full,) = table.blocks[0].lines
    assert [cell.text for cell in full[:4]] == ["full", "96.00 ± 0.78", "–", "–"]
    assert [cell.text for cell in full[-4:]] == ["3,000", "300", "4.00", "0.010"]


def test_the_reference_is_not_compared_with_itself():
    random = build_table(summarise(comparison())).blocks[1].lines[0]
    assert [cell.text for cell in random[2:4]] == ["–", "–"]


def test_tone_marks_intervals_without_zero():
    table = build_table(summarise(comparison()))
    tones = {(block.rate, line[0].text): line[2].tone for block in table.blocks for line in block.lines}
    assert tones["0.7", "emp"] == "better"
    assert tones["0.7", "lfl"] == "worse"
    assert tones["0.9", "emp"] == ""


def test_every_cell_is_in_both_renderings():
    (table,) = build_tables(comparison())
    terminal, markdown = printed(rich_tables(comparison())[0]), to_markdown(table)
    for cell in (cell for block in table.blocks for line in block.lines for cell in line):
        assert cell.text in terminal
        assert cell.text in markdown


@pytest.mark.parametrize("width", [50, 80, 100])
def test_a_narrow_terminal_loses_columns_but_cuts_no_number(width):
    text = printed(rich_tables(comparison(label_noise=0.2))[0], width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    (emp,) = [line for line in text.splitlines() if "emp" in line and "+2.33" in line]
    assert "93.33 ± " in emp
    assert "+2.33 [+" in emp
    assert "Not shown in this width: steps" in " ".join(text.split())


def test_markdown_is_one_line_a_policy():
    lines = to_markdown(build_tables(comparison())[0]).splitlines()
    assert len(lines) == 2 + 6
    assert {line.count("|") for line in lines} == {11}
    assert lines[4].startswith("| 0.7 | lfl | 89.00 ± ")
    assert "**+2.33 [" in lines[5]
    assert "**" not in lines[4]  # a loss is not stressed


def test_one_table_a_setting_and_true_labels_only_under_noise():
    clean, noisy = build_tables([*comparison(), *comparison(label_noise=0.2)])
    assert clean.title == "digits · mlp · test set · clean labels"
    assert noisy.title == "digits · mlp · test set · 20 % wrong labels"
    assert "true labels %" not in clean.columns
    assert "true labels %" in noisy.columns


def test_one_seed():
    table = build_tables(comparison(seeds=1))[0]
    emp = table.blocks[1].lines[-1]
    assert [cell.text for cell in emp[:4]] == ["emp", "93.00", "+3.00", "0.60"]
    assert emp[2].tone == ""
