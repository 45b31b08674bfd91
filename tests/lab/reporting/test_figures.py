"""Figures of per-sample arrays: what they count, and that they can be drawn from odd input."""

import numpy as np
import pytest
from made_results import is_drawn

from emprune_lab import data as lab_data
from emprune_lab.records.results import Samples
from emprune_lab.reporting import figures
from emprune_lab.reporting.figures.counts import pooled_counts
from emprune_lab.reporting.figures.remembered import by_count, share_right
from emprune_lab.reporting.figures.selecting import MOST_SHOWN, shown_of
from emprune_lab.reporting.sample_captions import counts_caption


def samples(count=200, most=30, seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    return Samples(
        times_trained=rng.integers(0, most + 1, count).astype(np.int32),
        loss=rng.exponential(1.0, count).astype(np.float32),
        entropy=rng.uniform(0, 2.3, count).astype(np.float32),
        correct=rng.random(count) < 0.8,
        mislabelled=rng.random(count) < noise,
    )


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


def test_few_of_many_policies_are_shown_those_that_tell_most():
    policies = ["short", "random", "rs2", "lfl", "el2n", "ucb", "infobatch", "emp:beta=2", "emp", "mine"]
    assert shown_of(policies, 4) == ["random", "lfl", "infobatch", "emp"]
    assert shown_of(policies[:MOST_SHOWN]) == policies[:MOST_SHOWN]


def test_counts_leave_out_own_budgets_and_most_of_many_policies():
    names = ["short", "random", "rs2", "lfl", "ucb", "infobatch", "orderdp", "emp", "el2n", "infobatch-published"]
    runs = {(name, rate): [samples()] for name in names for rate in (0.7, 0.9)}
    figure = figures.counts_figure(runs)
    titles = [axes.get_title(loc="left") for axes in figure.axes[:MOST_SHOWN]]
    assert titles == ["random", "lfl", "ucb", "infobatch", "orderdp", "emp"]
    assert len(figure.axes) == 2 * MOST_SHOWN
    caption = counts_caption(runs)
    assert "budget is their own: short, rs2, infobatch-published, el2n" in caption
    lines = figures.remembered_figure(runs).axes[2]
    assert len(lines.lines) == MOST_SHOWN
    assert len(figures.map_figure({name: samples() for name in names}, 10).axes) == MOST_SHOWN + 1


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
