"""Figures: what they count, and that they can be drawn from odd input without touching global state."""

import io

import matplotlib as mpl
import numpy as np
import pytest
from made_results import comparison, made
from PIL import Image

from emprune.lab import data as lab_data
from emprune.lab.reporting import figures
from emprune.lab.reporting.figures.counts import pooled_counts
from emprune.lab.reporting.figures.remembered import by_count, share_right
from emprune.lab.reporting.figures.style import colours, spread_apart
from emprune.lab.reporting.statistics import summarise
from emprune.lab.results import Samples


def samples(count=200, most=30, seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    return Samples(
        times_trained=rng.integers(0, most + 1, count).astype(np.int32),
        loss=rng.exponential(1.0, count).astype(np.float32),
        entropy=rng.uniform(0, 2.3, count).astype(np.float32),
        correct=rng.random(count) < 0.8,
        mislabelled=rng.random(count) < noise,
    )


def is_drawn(figure):
    image = Image.open(io.BytesIO(figures.png(figure))).convert("L")
    return image.width > 1000 and np.asarray(image).min() < 100


def test_by_count_equals_a_naive_loop():
    one, other = samples(seed=1, noise=0.3), samples(seed=2)
    number, percent = by_count([one, other], width=4)
    for bin_number in range(len(number)):
        right = [
            bool(every.correct[i])
            for every in (one, other)
            for i in range(200)
            if every.times_trained[i] // 4 == bin_number and not every.mislabelled[i]
        ]
        assert number[bin_number] == len(right)
        assert percent[bin_number] == pytest.approx(100 * sum(right) / len(right))


def test_by_count_has_no_percentage_where_there_is_no_sample():
    arrays = samples(3)
    arrays.times_trained[:] = [0, 0, 2]
    number, percent = by_count([arrays], 1)
    assert number.tolist() == [2, 0, 1]
    assert np.isnan(percent[1])


def test_share_right():
    arrays = samples(4)
    arrays.correct[:] = [True, False, True, True]
    assert share_right([arrays], mislabelled=False) == 75
    assert share_right([arrays], mislabelled=True) is None
    assert share_right([], mislabelled=False) is None


def test_extremes_and_their_ties():
    arrays = samples(6)
    arrays.times_trained[:] = [3, 0, 3, 0, 1, 2]
    arrays.loss[:] = [0.1, 0.5, 0.9, 0.2, 0, 0]
    most, least = figures.extremes(arrays, 3)
    assert most.tolist() == [2, 0, 5]
    assert least.tolist() == [3, 1, 4]


def test_colours_do_not_depend_on_company_and_do_not_repeat():
    few, many = colours(["emp", "lfl"]), colours(["full", "rs2", "lfl", "emp", "emp:beta=2", "mine"])
    assert few["emp"] == many["emp"]
    assert len(set(many.values())) == len(many)


def test_labels_keep_their_distance_and_their_order():
    placed = spread_apart([0.97, 0.96, 0.5, 0.95], gap=0.1, low=0, high=1)
    assert sorted(placed, reverse=True) == [placed[0], placed[1], placed[3], placed[2]]
    assert np.diff(sorted(placed)).min() >= 0.1 - 1e-9
    assert max(placed) <= 1


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
    assert high < 100
    assert "↓ 10.0" in [text.get_text() for text in accuracy.axes[0].texts]
    assert difference.axes[0].get_xlim()[0] > -20
    assert "◂ −72.00" in [text.get_text() for text in difference.axes[1].texts]


def test_counts_pool_the_seeds_and_mark_what_they_cut():
    steady = samples()
    steady.times_trained[:] = 9
    runs = {("full", 0.0): [steady], ("short", 0.7): [steady], ("lfl", 0.7): [samples(), samples(seed=1)]}
    assert len(pooled_counts(runs["lfl", 0.7])) == 400
    figure = figures.counts_figure(runs)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["short", "lfl"]
    assert "↑ 100 %" in [text.get_text() for text in figure.axes[0].texts]
    assert figure.axes[0].get_ylim()[1] < 20


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_missing_cells_are_left_blank(noise):
    runs = {
        ("full", 0.0): [samples(noise=noise)],
        ("random", 0.7): [samples(noise=noise)],
        ("emp", 0.9): [samples(noise=noise)],
    }
    assert is_drawn(figures.counts_figure(runs))
    assert is_drawn(figures.remembered_figure(runs))


def test_map_takes_losses_from_zero_to_huge():
    arrays = samples(noise=0.1)
    arrays.loss[:3], arrays.entropy[:3] = [0, 80, 1e-30], [0, 0, 1e-30]
    assert is_drawn(figures.map_figure(dict.fromkeys(("lfl", "emp", "random", "mine"), arrays), 10))


def test_contact_sheet_marks_flipped_labels():
    data = lab_data.with_label_noise(lab_data.load("digits"), 1.0, seed=0)
    figure = figures.contact_figure(data, samples(len(data)), "emp")
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 24
    assert all("→" in title and "×" in title for title in titles)
    with pytest.raises(ValueError, match="5 samples"):
        figures.contact_figure(data, samples(5), "emp")


def test_global_settings_stay_as_they_were():
    before = dict(mpl.rcParams)
    figures.png(figures.accuracy_figure(summarise(comparison())))
    assert dict(mpl.rcParams) == before


def test_the_same_figure_is_the_same_bytes():
    first, second = (figures.png(figures.accuracy_figure(summarise(comparison()))) for _ in range(2))
    assert first == second
