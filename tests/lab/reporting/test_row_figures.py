"""Figures of rows: accuracy over rate, time and samples, differences; and what each policy looks like."""

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from made_results import comparison, is_drawn, made, made_own, many_policies

from emprune.policies import REGISTRY
from emprune_lab.reporting import figures
from emprune_lab.reporting.captions import accuracy_caption, difference_caption, spending_caption
from emprune_lab.reporting.figures.palette import NAMED, looks
from emprune_lab.reporting.figures.style import colours, dashes, markers, spread_apart, text_colours
from emprune_lab.reporting.statistics import summarise
from emprune_lab.subsets.static import LABELS


def test_colours_do_not_depend_on_company_and_do_not_repeat():
    few, many = colours(["emp", "lfl"]), colours(["full", "rs2", "lfl", "emp", "emp:beta=2", "mine"])
    assert few["emp"] == many["emp"]
    assert len(set(many.values())) == len(many)


def test_every_policy_and_many_unknown_labels_look_different():
    known = ["full", "short", *REGISTRY, *LABELS]
    found = looks([*known, *(f"mine:{number}" for number in range(30))])
    assert len(set(found.values())) == len(found) == len(dict.fromkeys(known)) + 30
    pairs = [(look.colour, look.marker) for look in found.values()]
    assert len(set(pairs)) == len(pairs)
    assert len({look.colour for look in NAMED.values()}) == len(NAMED)


def test_no_number_of_unknown_labels_fails():
    labels = [f"mine:{number}" for number in range(300)]
    for look in (colours, markers, dashes, text_colours):
        assert list(look(labels)) == labels


def test_labels_keep_their_distance_and_their_order():
    placed = spread_apart([0.97, 0.96, 0.5, 0.95], gap=0.1, low=0, high=1)
    assert sorted(placed, reverse=True) == [placed[0], placed[1], placed[3], placed[2]]
    assert np.diff(sorted(placed)).min() >= 0.1 - 1e-9
    assert max(placed) <= 1
    assert spread_apart([0.2, 0.9], gap=0.1, low=0, high=1) == [0.2, 0.9]
    assert spread_apart([-1, -1], gap=0.1, low=0, high=1) == pytest.approx([0, 0.1])


@pytest.mark.parametrize("rates", [(0.7,), (0.5, 0.7, 0.9)])
def test_accuracy_and_difference(rates):
    rows = summarise(
        [made("full", 0, 0, 0.95)] + [made(p, r, s, 0.9) for p in ("random", "emp") for r in rates for s in (0, 1)]
    )
    assert is_drawn(figures.accuracy_figure(rows))
    assert is_drawn(figures.difference_figure(rows))


def test_a_collapsed_policy_does_not_flatten_the_others():
    collapsed = [made("lfl", 0.9, seed, 0.1) for seed in range(3)]
    rows = summarise([*comparison(), *collapsed])
    accuracy, difference = figures.accuracy_figure(rows), figures.difference_figure(rows)
    low, high = accuracy.axes[0].get_ylim()
    assert 60 < low < 80
    assert high <= 100
    assert "↓ 10.0" in [text.get_text() for text in accuracy.axes[0].texts]
    assert difference.axes[0].get_xlim()[0] > -20
    assert "◂ −72.00" in [text.get_text() for text in difference.axes[1].texts]


def marks(axes, label):
    """Positions of the marks that a legend calls so."""
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return list(zip(*line.get_data(), strict=True))


def test_own_budgets_are_marks_at_their_realised_rate_without_a_line():
    results = [*comparison(), made_own("infobatch-published", 0.7, 0), made_own("infobatch-published", 0.9, 0, 1200)]
    axes = figures.accuracy_figure(summarise(results)).axes[0]
    label = "infobatch-published, own budget"
    assert marks(axes, label) == [(0.5, pytest.approx(90)), (pytest.approx(0.6), pytest.approx(90))]
    (line,) = [line for line in axes.lines if line.get_label() == label]
    assert line.get_linestyle() == "None"
    texts = [text.get_text() for text in axes.texts]
    assert "asked for 0.7" in texts
    assert not any(text.startswith("infobatch-published") for text in texts)  # no place among the ranked
    assert axes.get_xlim()[0] < 0.5


def test_own_budgets_alone_can_be_drawn():
    rows = summarise([made("full", 0, 0, 0.95), made_own("infobatch-published", 0.7, 0)])
    assert is_drawn(figures.accuracy_figure(rows))
    assert is_drawn(figures.spending_figure(rows))


def test_the_axis_names_the_realised_rate_where_it_is_another():
    rows = summarise([made("full", 0, 0, 0.95), made("random", 0.8, 0, realised_rate=0.7, anneal=0.125)])
    (label,) = [label.get_text() for label in figures.accuracy_figure(rows).axes[0].get_xticklabels()]
    assert label.splitlines()[0] == "0.8"
    assert "0.7" in label.splitlines()[1]


def test_spending_has_every_policy_and_rate_over_seconds_and_samples():
    rows = summarise(many_policies())
    time, samples = figures.spending_figure(rows).axes
    assert (time.get_xscale(), samples.get_xscale()) == ("log", "log")
    for row in rows:
        label = f"{row.policy}, own budget" if row.own_budget else row.policy
        point = pytest.approx(row.accuracy.value)
        assert (pytest.approx(row.cost.seconds), point) in marks(time, label)
        assert (row.cost.samples_backward, point) in marks(samples, label)
    assert [tick.get_text() for tick in samples.get_xticklabels()] == ["300", "900", "3,000"]
    assert "↓ 10.0" in [text.get_text() for text in samples.texts]


def test_spending_counts_what_a_score_was_trained_with():
    rows = summarise([*comparison(), made("el2n", 0.7, 0, samples_backward_scoring=300)])
    _, samples = figures.spending_figure(rows).axes
    assert [place for place, _ in marks(samples, "el2n")] == [1200]
    assert "run behind a static score included" in spending_caption(rows)
    assert "not counting what the run behind a static score" in accuracy_caption(rows)
    assert "static" not in spending_caption(summarise(comparison())) + accuracy_caption(summarise(comparison()))


def test_seconds_of_different_machines_are_not_compared():
    moved = [made("emp", 0.7, seed, device="another machine") for seed in range(3)]
    rows = summarise([*(run for run in comparison() if (run.policy, run.prune_rate) != ("emp", 0.7)), *moved])
    (samples,) = figures.spending_figure(rows).axes
    assert samples.get_xlabel() == "samples trained"
    assert "2 different machines" in spending_caption(rows)
    assert "2 different machines" not in spending_caption(summarise(comparison()))


def test_many_policies_fit_side_by_side_and_their_names_below_each_other():
    rows = summarise(many_policies())
    figure = figures.accuracy_figure(rows)
    figures.png(figure)  # lays it out
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_weight() == "bold"]
    heights = sorted((box.y0, box.y1) for box in boxes)
    assert len(heights) == 20
    assert all(lower[1] <= upper[0] + 1 for lower, upper in pairwise(heights))
    assert is_drawn(figures.difference_figure(rows))


def test_captions_name_the_interval():
    for interval, name in (("student", "Student’s t"), ("bootstrap", "percentile bootstrap")):
        rows = summarise(comparison(), interval=interval)
        for caption in (accuracy_caption(rows), difference_caption(rows)):
            assert f"({name})" in caption
            assert "not of another test set" in caption
    one = summarise(comparison(seeds=1))
    assert "One seed" in accuracy_caption(one)
    assert "One seed" in difference_caption(one)


def test_global_settings_stay_as_they_were():
    before = dict(mpl.rcParams)
    figures.png(figures.accuracy_figure(summarise(comparison())))
    assert dict(mpl.rcParams) == before


def test_the_same_figure_is_the_same_bytes():
    first, second = (figures.png(figures.accuracy_figure(summarise(comparison()))) for _ in range(2))
    assert first == second
