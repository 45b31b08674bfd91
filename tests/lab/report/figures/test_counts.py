"""Figures of per-sample arrays: what they count, and that they can be drawn from odd input."""

import dataclasses

import numpy as np
import pytest
from contrastive_results import contrastive_runs, samples_of
from made_results import compared, is_drawn, made

from emprune_lab import data as lab_data
from emprune_lab.records.results import Samples
from emprune_lab.report.comparison import MOST_SHOWN, shown_of
from emprune_lab.report.figures import counts, images, remembered
from emprune_lab.report.figures import map as loss_map
from emprune_lab.report.figures.counts import pooled_counts
from emprune_lab.report.figures.images import extremes, sheet
from emprune_lab.report.figures.remembered import by_count, share_right


def samples(count=200, most=30, seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    return Samples(
        times_trained=rng.integers(0, most + 1, count).astype(np.int32),
        loss=rng.exponential(1.0, count).astype(np.float32),
        entropy=rng.uniform(0, 2.3, count).astype(np.float32),
        correct=rng.random(count) < 0.8,
        mislabelled=rng.random(count) < noise,
    )


def shown(arrays):
    """A comparison from (policy, rate) → arrays of its seeds."""
    runs = {(cell, seed): made(*cell, seed) for cell, every in arrays.items() for seed in range(len(every))}
    return compared(runs.values(), {run.run_id: arrays[cell][seed] for (cell, seed), run in runs.items()})


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


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
    halves = dataclasses.replace(arrays, correct=arrays.correct / 2)  # one view of two
    figure = remembered.draw(shown({("lfl", 0.7): [halves]}))
    assert " 37.5" in texts(figure)


def test_extremes_and_their_ties():
    arrays = samples(6)
    arrays.times_trained[:] = [3, 0, 3, 0, 1, 2]
    arrays.loss[:] = [0.1, 0.5, 0.9, 0.2, 0, 0]
    most, least = extremes(arrays, 3)
    assert most.tolist() == [2, 0, 5]
    assert least.tolist() == [3, 1, 4]


def test_few_of_many_policies_are_shown_those_that_tell_most():
    policies = ["short", "random", "rs2", "lfl", "el2n", "ucb", "infobatch", "emp:beta=2", "emp", "mine"]
    assert shown_of(policies, 4) == ["random", "lfl", "infobatch", "emp"]
    assert shown_of(policies[:MOST_SHOWN]) == policies[:MOST_SHOWN]


def test_figures_leave_out_own_budgets_and_most_of_many_policies():
    names = ["short", "random", "rs2", "lfl", "ucb", "infobatch", "orderdp", "emp", "el2n", "infobatch-published"]
    comparison = shown({(name, rate): [samples()] for name in names for rate in (0.7, 0.9)})
    figure = counts.draw(comparison)
    titles = [axes.get_title(loc="left") for axes in figure.axes[:MOST_SHOWN]]
    assert titles == ["random", "lfl", "infobatch", "orderdp", "ucb", "emp"]
    assert len(figure.axes) == 2 * MOST_SHOWN
    assert len(remembered.draw(comparison).axes[2].lines) == MOST_SHOWN
    assert len(loss_map.draw(comparison).axes) == MOST_SHOWN + 1


def test_counts_pool_the_seeds_and_mark_what_they_cut():
    steady = samples()
    steady.times_trained[:] = 9
    runs = {("full", 0.0): [steady], ("short", 0.7): [steady], ("lfl", 0.7): [samples(), samples(seed=1)]}
    assert len(pooled_counts(runs["lfl", 0.7])) == 400
    figure = counts.draw(shown(runs))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["short", "lfl"]
    assert "↑ 100 %" in texts(figure)
    assert figure.axes[0].get_ylim()[1] < 20


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_missing_cells_are_left_blank(noise):
    cells = (("full", 0.0), ("random", 0.7), ("emp", 0.9))
    comparison = shown({cell: [samples(noise=noise)] for cell in cells})
    assert is_drawn(counts.draw(comparison))
    assert is_drawn(remembered.draw(comparison))


def test_nothing_is_drawn_without_pruned_arrays():
    full, bare = shown({("full", 0.0): [samples()]}), compared([made()])
    for module in (counts, remembered, loss_map, images):
        assert not module.FIGURE.applies(full)
        assert not module.FIGURE.applies(bare)


def test_map_takes_losses_from_zero_to_huge():
    arrays = samples(noise=0.1)
    arrays.loss[:3], arrays.entropy[:3] = [0, 80, 1e-30], [0, 0, 1e-30]
    figure = loss_map.draw(shown({(name, 0.7): [arrays] for name in ("lfl", "emp", "random", "mine")}))
    assert (figure.axes[0].get_xscale(), figure.axes[0].get_yscale()) == ("log", "log")
    assert is_drawn(figure)


def test_the_map_of_a_memory_term_has_no_lines_of_classes():
    runs = contrastive_runs(seeds=1, policies=("lfl", "emp"))
    figure = loss_map.draw(compared(runs, {run.run_id: samples_of(run) for run in runs}))
    first = figure.axes[0]
    assert (first.get_xscale(), first.get_yscale()) == ("linear", "linear")
    assert not first.lines
    assert figure.get_supylabel() == "memory term"
    assert is_drawn(figure)


def test_contact_sheet_marks_flipped_labels():
    data = lab_data.with_label_noise(lab_data.load("digits"), 1.0, seed=0)
    titles = [axes.get_title() for axes in sheet(data, samples(len(data))).axes]
    assert len(titles) == 24
    assert all("→" in title and "×" in title for title in titles)
    with pytest.raises(ValueError, match="5 samples"):
        sheet(data, samples(5))
