"""Figures of the metric over the rate, of few policies and of many, beside those of differences and spending."""

from itertools import pairwise

import pytest
from made_results import bits, compared, comparison, is_drawn, made, made_own, many_policies, marks, texts

from emprune_lab.report.figures import accuracy, difference, spending
from emprune_lab.report.style import png, styled


@pytest.mark.parametrize("rates", [(0.7,), (0.5, 0.7, 0.9)])
def test_accuracy_and_difference(rates):
    shown = compared(
        [made("full", 0, 0, 0.95)] + [made(p, r, s, 0.9) for p in ("random", "emp") for r in rates for s in (0, 1)]
    )
    assert is_drawn(accuracy.draw(shown))
    assert is_drawn(difference.draw(shown))


def test_a_collapsed_policy_does_not_flatten_the_others():
    shown = compared([*comparison(), *(made("lfl", 0.9, seed, 0.1) for seed in range(3))])
    figure, differences = accuracy.draw(shown), difference.draw(shown)
    low, high = figure.axes[0].get_ylim()
    assert 60 < low < 80
    assert high <= 100
    assert "↓ 10.00" in texts(figure)
    assert differences.axes[0].get_xlim()[0] > -20
    assert "◂ −72.00" in texts(differences)


def test_own_budgets_are_marks_at_their_realised_rate_without_a_line():
    results = [*comparison(), made_own("infobatch-published", 0.7, 0), made_own("infobatch-published", 0.9, 0, 1200)]
    figure = accuracy.draw(compared(results))
    label = "infobatch-published"
    assert sorted(marks(figure.axes[0], label)) == [(0.5, pytest.approx(90)), (pytest.approx(0.6), pytest.approx(90))]
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == label]
    assert line.get_linestyle() == "None"
    assert not any(text.startswith("infobatch-published") for text in texts(figure))  # no place among the ranked
    assert figure.axes[0].get_xlim()[0] < 0.5


def test_own_budgets_alone_can_be_drawn():
    shown = compared([made("full", 0, 0, 0.95), made_own("infobatch-published", 0.7, 0)])
    assert is_drawn(accuracy.draw(shown))
    assert is_drawn(spending.draw(shown))


def test_the_axis_names_the_realised_rate_where_it_is_another():
    shown = compared([made("full", 0, 0, 0.95), made("random", 0.8, 0, realised_rate=0.7, anneal=0.125)])
    (label,) = [label.get_text() for label in accuracy.draw(shown).axes[0].get_xticklabels()]
    assert label == "0.8\n(0.7 of the run)"


def test_many_policies_fit_side_by_side_and_their_names_below_each_other():
    shown = compared(many_policies())
    figure = styled(accuracy.draw)(shown)
    png(figure)  # lays it out
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_weight() == "bold"]
    heights = sorted((box.y0, box.y1) for box in boxes)
    assert len(heights) == 20
    assert all(lower[1] <= upper[0] + 1 for lower, upper in pairwise(heights))
    assert is_drawn(difference.draw(shown))


@pytest.mark.parametrize("module", [accuracy, difference, spending])
def test_figures_are_labelled_by_a_metric_of_which_lower_is_better(module):
    figure = module.draw(
        compared([*bits(), *(made("ucb", 0.7, s, 9.0, metric="bits per character") for s in range(3))])
    )
    axes = figure.axes[0]
    assert "bits per character" in axes.get_ylabel() + axes.get_xlabel()
    if module is difference:
        assert "+7.090 ▸" in texts(figure)
    else:
        assert "↑ 9.000" in texts(figure)
        low, high = axes.get_ylim()
        assert low < 1.5 < 2.12 < high < 9
    assert is_drawn(figure)
