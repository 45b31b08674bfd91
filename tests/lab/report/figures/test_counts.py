"""Figures of per-sample arrays: how often samples were trained, and what all of these figures leave out."""

import pytest
from made_results import compared, is_drawn, made, texts
from made_samples import samples, shown

from emprune_lab.report.comparison import MOST_SHOWN
from emprune_lab.report.figures import counts, images, remembered
from emprune_lab.report.figures import map as loss_map
from emprune_lab.report.figures.counts import pooled_counts


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


def test_a_row_that_begins_with_a_missing_cell_is_labelled():
    figure = counts.draw(shown({cell: [samples()] for cell in (("short", 0.7), ("random", 0.7), ("random", 0.9))}))
    is_drawn(figure)
    assert "prune rate 0.9" in figure.axes[2].get_ylabel()
    assert figure.axes[2].axison
    assert [label.get_text() for label in figure.axes[2].get_yticklabels() if label.get_visible()]


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


def test_spread_is_told_relative_to_the_mean_which_falls_with_the_rate():
    figure = counts.draw(shown({("lfl", rate): [samples()] for rate in (0.7, 0.9)}))
    said = [text for text in texts(figure) if text.startswith("mean ")]
    pooled = pooled_counts([samples()])
    assert len(said) == 2
    assert f"s.d./mean {pooled.std() / pooled.mean():.2f}" in said[0]
