"""A measure of which lower is better: gains, gap closed, bold and findings come out the right way round."""

import pytest
from made_results import comparison, is_drawn, made

from emprune_lab.records.metrics import METRICS
from emprune_lab.reporting import figures
from emprune_lab.reporting.estimate import Estimate
from emprune_lab.reporting.figures.accuracy import accuracy_limits
from emprune_lab.reporting.findings import findings
from emprune_lab.reporting.overview import overview_markdown
from emprune_lab.reporting.report import write_report
from emprune_lab.reporting.statistics import summarise
from emprune_lab.reporting.tables import build_tables

BITS = {
    ("full", 0.0): [1.50, 1.52, 1.51],
    ("random", 0.7): [1.90, 1.92, 1.91],
    ("lfl", 0.7): [2.10, 2.13, 2.12],
    ("emp", 0.7): [1.80, 1.81, 1.82],
    ("infobatch", 0.7): [1.95, 1.90, 1.88],
}


def results(seeds=3, metric="bits per character"):
    return [
        made(policy, rate, seed, values[seed], metric=metric)
        for (policy, rate), values in BITS.items()
        for seed in range(seeds)
    ]


def row_of(policy):
    (row,) = [row for row in summarise(results()) if row.policy == policy]
    return row


def test_less_is_a_gain():
    emp, lfl = row_of("emp"), row_of("lfl")
    assert emp.accuracy.value == pytest.approx(1.81)
    assert emp.difference.value == pytest.approx(-0.1)
    assert (emp.gain, lfl.gain, row_of("infobatch").gain, row_of("full").gain) == (1, -1, 0, 0)
    assert emp.gap_closed.value == pytest.approx(0.1 / 0.4)
    assert lfl.gap_closed.value < 0


def test_where_full_is_no_better_there_is_no_gap():
    worse = [made(p, r, s, 3 - v[s], metric="bits per character") for (p, r), v in BITS.items() for s in range(3)]
    assert all(row.gap_closed is None for row in summarise(worse))


def test_tables_and_overview_mark_the_lower_value():
    table = build_tables(results())[0]
    assert table.columns[1] == "bits per character"
    tones = {line[0].text: (line[1].text, line[2].tone) for block in table.blocks for line in block.lines}
    assert tones["emp"] == ("1.810 ± 0.025", "better")
    assert tones["lfl"][1] == "worse"
    assert tones["infobatch"][1] == ""
    assert "bold: below zero" in table.note
    lines = {line.split(" | ")[0]: line for line in overview_markdown(results()).splitlines()}
    assert "**−0.100 [" in lines["| emp"]
    assert "**" not in lines["| lfl"]


def test_findings_say_it_in_words():
    (sentence, full) = findings(summarise(results()))
    assert "random reaches 1.910 bits per character; better, which is below random: emp (−0.100)" in sentence
    assert "worse, above random: lfl (+0.207)" in sentence
    assert full == "All the data reaches 1.510 bits per character."
    assert "All the data reaches 96.00 %." in findings(summarise(comparison()))


def test_other_measures_have_their_own_words():
    table = build_tables(results(metric="matthews"))[0]
    assert table.columns[1] == "Matthews × 100"
    tones = {line[0].text: (line[1].text, line[2].tone) for block in table.blocks for line in block.lines}
    assert tones["emp"] == ("181.00 ± 2.48", "worse")


@pytest.mark.parametrize("draw", [figures.accuracy_figure, figures.difference_figure, figures.spending_figure])
def test_figures_are_labelled_by_the_measure(draw):
    figure = draw(summarise([*results(), *(made("ucb", 0.7, s, 9.0, metric="bits per character") for s in range(3))]))
    axes = figure.axes[0]
    assert "bits per character" in axes.get_ylabel() + axes.get_xlabel()
    texts = [text.get_text() for one in figure.axes for text in one.texts]
    if draw is figures.difference_figure:
        assert "+7.090 ▸" in texts
    else:
        assert "↑ 9.00" in texts
        low, high = axes.get_ylim()
        assert low < 1.5 < 2.12 < high < 9
    assert is_drawn(figure)


def test_an_axis_mirrors_that_of_the_opposite_measure():
    estimates = [Estimate(value, value - 0.01, value + 0.02, None, 3) for value in (1.5, 1.6, 1.7)]
    low, high = accuracy_limits(estimates, METRICS["bits per character"])
    assert low < 1.49
    assert 1.72 < high < 1.9


def test_a_report_of_two_measures_names_both(tmp_path):
    files = write_report(tmp_path, [*results(), *comparison(data="fashion-mnist")], tmp_path)
    page = files.report.read_text()
    assert "bits per character / accuracy" in page or "accuracy / bits per character" in page
    assert "lies above the axis" in page
    assert "lies below the axis" in page
