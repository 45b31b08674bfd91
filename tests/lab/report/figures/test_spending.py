"""The figure of the metric over seconds and samples."""

import pytest
from made_results import compared, comparison, made, many_policies, marks, texts

from emprune_lab.report.figures import spending


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
    assert "↓ 10.00" in texts(figure)


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


def test_a_legend_of_long_names_is_not_cut():
    names = [f"emp:memory=hidden:beta={place}:gamma=8:memory_temperature=0.03" for place in range(20)]
    figure = spending.draw(compared([*comparison(), *(made(name, 0.7, seed) for name in names for seed in range(2))]))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 24
    for text in legend.get_texts():
        box, whole = text.get_window_extent(), figure.bbox
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
    assert min(axes.bbox.height for axes in figure.axes) > 0.4 * figure.bbox.width / 2


def test_the_caption_says_which_axes_are_logarithmic():
    axes = spending.draw(compared(comparison())).axes
    assert {(one.get_xscale(), one.get_yscale()) for one in axes} == {("log", "linear")}
    assert "the horizontal axes are logarithmic" in spending.FIGURE.caption
