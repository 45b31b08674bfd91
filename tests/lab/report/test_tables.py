"""The comparison as text: what stands where, and in which form."""

import io

import pytest
from contrastive_results import contrastive_runs
from made_results import comparison, made, made_own
from rich.console import Console

from emprune.errors import ArgumentError
from emprune_lab.report.layout import to_markdown
from emprune_lab.report.overview import overview_markdown, tables_markdown
from emprune_lab.report.tables import COST, LOSSLESS, NOTES, OWN_BUDGET, RANKED, build_tables, rich_tables


def printed(drawn, width=160):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(drawn)
    return console.export_text()


def line_of(table, policy, rate):
    (line,) = [line for line in table.lines if (line[1].text, line[0].text) == (policy, rate)]
    return line


def texts_of(table, policy, rate):
    return [cell.text for cell in line_of(table, policy, rate)][2:]


def test_full_comes_first_and_is_compared_with_nothing():
    ranked, _, cost = build_tables(comparison())
    for table in (ranked, cost):
        assert [line[0].text for line in table.lines] == ["0", "0.7", "0.7", "0.7", "0.9", "0.9"]
    full = texts_of(ranked, "full", "0")
    assert (full[:3], full[-2:]) == (["96.00 ± 2.48", "–", "–"], ["3,000", "3,000"])
    assert texts_of(cost, "full", "0") == ["0.000", "3,000", "3,000", "300", "4.00", "0", "0.010", "–", "–"]
    assert texts_of(ranked, "random", "0.7")[1:3] == ["–", "–"]  # the reference


def test_cost_of_a_line_by_hand():
    seconds = {"total": 9.0, "train": 1.5, "score": 0.25, "select": 0.25, "evaluate": 1.0}
    runs = [made("full", 0.0, 0), made("divbs", 0.7, 0, samples_forward=3900, seconds=seconds)]
    ranked, cost = build_tables(runs)
    assert texts_of(cost, "divbs", "0.7") == [
        "0.700", "900", "3,900", "90", "1.50", "0.250", "0.250", f"{3.01 / 2:.2f}", f"{3.01 / 2 * 0.3:.2f}",
    ]  # fmt: skip
    assert texts_of(ranked, "divbs", "0.7")[-2:] == ["900", "3,900"]


def test_what_a_score_was_trained_with_stands_behind_the_budget():
    ranked, _, cost = build_tables([*comparison(), made("el2n", 0.7, 0, samples_backward_scoring=300)])
    for table in (ranked, cost):
        assert "900 + 300" in texts_of(table, "el2n", "0.7")


def test_significant_differences_have_a_tone_and_gains_are_bold():
    table = build_tables(comparison())[0]
    tones = {policy: line_of(table, policy, rate)[3].tone for policy, rate in (("emp", "0.7"), ("lfl", "0.7"))}
    assert tones == {"emp": "better", "lfl": "worse"}
    assert line_of(table, "emp", "0.9")[3].tone == ""
    lines = to_markdown(table).splitlines()
    assert len(lines) == 2 + 6
    assert {line.count("|") for line in lines} == {10}
    assert lines[4].startswith("| 0.7 | lfl | 88.93 ± ")
    assert "**+3.13 [" in lines[5]
    assert "**" not in lines[4]  # a loss is not stressed


def test_a_named_reference_heads_its_column():
    assert "minus lfl" in build_tables(comparison(), reference="lfl")[0].columns
    with pytest.raises(ArgumentError, match="reference is 'ucb'"):
        rich_tables(comparison(), reference="ucb")


def test_own_budgets_stand_in_a_table_of_their_own():
    results = [*comparison(), made_own("infobatch-published", 0.7, 0), made_own("infobatch-published", 0.9, 0, 1200)]
    ranked, lossless, own, cost = build_tables(results)
    assert [table.name for table in (ranked, lossless, own, cost)] == [RANKED, LOSSLESS, OWN_BUDGET, COST]
    assert "infobatch-published" not in to_markdown(ranked)
    assert texts_of(own, "infobatch-published", "0.7") == ["90.00", "–", "0.500", "1,500", "900", "90"]
    assert texts_of(own, "infobatch-published", "0.9") == ["90.00", "–", "0.600", "1,200", "300", "30"]
    assert "infobatch-published" in to_markdown(cost)
    assert overview_markdown(results) == overview_markdown(comparison())


@pytest.mark.parametrize("width", [50, 80, 100])
@pytest.mark.parametrize("runs", [comparison(label_noise=0.2), contrastive_runs()])
def test_a_narrow_terminal_loses_columns_but_cuts_no_number(width, runs):
    for table, drawn in zip(build_tables(runs), rich_tables(runs), strict=False):
        text = printed(drawn, width)
        assert "…" not in text
        assert max(map(len, text.splitlines())) <= width
        shown, _, left_out = " ".join(text.split()).partition("Not shown in this width: ")
        assert all(cell.text in shown for line in table.lines for cell in line[:3])
        assert table.columns[-1] in left_out or width == 100 or table.name == LOSSLESS


def test_notes_name_the_intervals_and_stand_once():
    results = [*comparison(), *comparison(label_noise=0.2)]
    markdown = tables_markdown(results)
    terminal = " ".join("".join(map(printed, rich_tables(results))).split())
    for text in (markdown, terminal):
        assert text.count("by Student’s t") == text.count("(Fieller’s, from four seeds on)") == 1
        assert text.count(NOTES[RANKED]) == text.count(NOTES[COST]) == 1
        assert NOTES[OWN_BUDGET] not in text


def test_tables_of_every_setting_and_true_labels_only_under_noise():
    clean, _, _, noisy, _, _ = build_tables([*comparison(), *comparison(label_noise=0.2)])
    assert clean.setting == "digits · mlp · test set · clean"
    assert noisy.setting == "digits · mlp · test set · 20% wrong labels"
    assert "true labels %" not in clean.columns
    assert "true labels %" in noisy.columns


def test_one_seed():
    emp = line_of(build_tables(comparison(seeds=1))[0], "emp", "0.7")
    assert [cell.text for cell in emp[2:5]] == ["93.00", "+3.00", "0.60"]
    assert emp[3].tone == ""
