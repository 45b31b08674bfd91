"""Figures of rows: the metric over rate, time and samples, differences; and what each policy looks like."""

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from made_results import bits, compared, comparison, is_drawn, made, made_own, many_policies

from emprune.policies import REGISTRY
from emprune_lab.records.metrics import METRICS
from emprune_lab.report.axes import metric_limits, spread_apart
from emprune_lab.report.figures import accuracy, difference, spending
from emprune_lab.report.intervals import Estimate
from emprune_lab.report.palette import NAMED, looks
from emprune_lab.report.style import png, styled
from emprune_lab.subsets.static import LABELS


def marks(axes, label):
    """Positions of the marks that a legend calls so."""
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return list(zip(*line.get_data(), strict=True))


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_every_policy_and_many_unknown_labels_look_different():
    known = ["full", "short", *REGISTRY, *LABELS]
    found = looks([*known, *(f"mine:{number}" for number in range(30))])
    assert len(set(found.values())) == len(found) == len(dict.fromkeys(known)) + 30
    pairs = [(look.colour, look.marker) for look in found.values()]
    assert len(set(pairs)) == len(pairs)
    assert len({look.colour for look in NAMED.values()}) == len(NAMED)


def test_a_look_does_not_depend_on_company_and_no_number_of_labels_fails():
    assert looks(["emp", "lfl"])["emp"] == looks(["full", "rs2", "lfl", "emp", "mine"])["emp"]
    labels = [f"mine:{number}" for number in range(300)]
    assert list(looks(labels)) == labels


def test_labels_keep_their_distance_and_their_order():
    placed = spread_apart([0.97, 0.96, 0.5, 0.95], gap=0.1, low=0, high=1)
    assert sorted(placed, reverse=True) == [placed[0], placed[1], placed[3], placed[2]]
    assert np.diff(sorted(placed)).min() >= 0.1 - 1e-9
    assert max(placed) <= 1
    assert spread_apart([0.2, 0.9], gap=0.1, low=0, high=1) == pytest.approx([0.2, 0.9])
    assert spread_apart([-1, -1], gap=0.1, low=0, high=1) == pytest.approx([0, 0.1])


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
    assert "↓ 10.0" in texts(figure)
    assert differences.axes[0].get_xlim()[0] > -20
    assert "◂ −72.00" in texts(differences)


def test_significant_differences_are_filled():
    axes = difference.draw(compared(comparison())).axes
    fills = [line.get_markerfacecolor() for panel in axes for line in panel.lines if line.get_marker() == "o"]
    assert [fill == "white" for fill in fills] == [False, False, True]  # lfl and emp at 0.7, emp at 0.9


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


def test_spending_has_every_policy_and_rate_over_seconds_and_samples():
    shown = compared(many_policies())
    figure = spending.draw(shown)
    time, samples = figure.axes
    assert (time.get_xscale(), samples.get_xscale()) == ("log", "log")
    for row in shown.rows:
        point = pytest.approx(row.mean.value)
        assert (pytest.approx(row.cost.seconds), point) in marks(time, row.policy)
        assert (row.cost.samples_backward, point) in marks(samples, row.policy)
    assert [tick.get_text() for tick in samples.get_xticklabels()] == ["300", "900", "3,000"]
    assert "↓ 10.0" in texts(figure)


def test_spending_counts_what_a_score_was_trained_with():
    _, samples = spending.draw(
        compared([*comparison(), made("el2n", 0.7, 0, samples_backward_scoring=300)])
    ).axes  # fmt: skip
    assert [place for place, _ in marks(samples, "el2n")] == [1200]


def test_seconds_of_different_machines_are_not_compared():
    moved = [made("emp", 0.7, seed, device="another machine") for seed in range(3)]
    shown = compared([*(run for run in comparison() if (run.policy, run.prune_rate) != ("emp", 0.7)), *moved])
    (samples,) = spending.draw(shown).axes
    assert samples.get_xlabel() == "samples trained"


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
        assert "↑ 9.00" in texts(figure)
        low, high = axes.get_ylim()
        assert low < 1.5 < 2.12 < high < 9
    assert is_drawn(figure)


def test_an_axis_mirrors_that_of_the_opposite_metric():
    estimates = [Estimate(value, value - 0.01, value + 0.02, 3) for value in (1.5, 1.6, 1.7)]
    low, high = metric_limits(estimates, METRICS["bits per character"])
    assert low < 1.49
    assert 1.72 < high < 1.9


def test_global_settings_stay_as_they_were_and_the_bytes_the_same():
    before = dict(mpl.rcParams)
    first, second = (accuracy.FIGURE.pictures(compared(comparison()))[0] for _ in range(2))
    assert dict(mpl.rcParams) == before
    assert first == second
