"""The figure of what is measured after each epoch: its curves by hand, and where there is none."""

import dataclasses

import numpy as np
import pytest
from contrastive_results import EPOCHS, SAMPLES, contrastive_run, contrastive_runs
from made_results import compared, is_drawn, made

from emprune_lab.report.figures.training import FIGURE, draw

METRIC = "bits per character"


def run(policy, rate, seed, kept, bits, **changes):
    history = [{"kept": kept, "seconds": 2.0 + seed, METRIC: value, "loss": 1.0, "accuracy": 0.5} for value in bits]
    return made(policy, rate, seed, bits[-1], metric=METRIC, history=history, **changes)


RUNS = [
    run("full", 0.0, 0, 100, [3.0, 2.0]), run("full", 0.0, 1, 100, [3.2, 2.2]),
    run("emp", 0.7, 0, 30, [4.0, 2.4]), run("emp", 0.7, 1, 30, [4.0, 2.8]),
    run("emp", 0.9, 0, 10, [5.0, 3.0]),
]  # fmt: skip


def curves(axes):
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def test_curves_are_means_over_seeds_at_what_was_spent():
    figures = draw(compared(RUNS))
    assert list(figures) == ["0.7", "0.9"]
    samples, seconds = figures["0.7"].axes
    np.testing.assert_allclose(curves(samples)["full"], [[100, 3.1], [200, 2.1]])
    np.testing.assert_allclose(curves(samples)["emp"], [[30, 4.0], [60, 2.6]])
    np.testing.assert_allclose(curves(seconds)["emp"], [[2.5, 4.0], [5.0, 2.6]])
    assert {text.get_text() for text in seconds.texts} == {"full  2.100", "emp  2.600"}
    assert all(is_drawn(figure) for figure in figures.values())


def test_the_memory_term_and_what_is_retrieved_have_a_row_each():
    runs = contrastive_runs(policies=("full", "random", "emp"))
    figures = draw(compared(runs))
    for rate in (0.5, 0.7):
        figure = figures[f"{rate:g}"]
        assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["memory term", "remembered, fraction"]
        for axes, key in zip(figure.axes[::2], ("memory", "retrieved"), strict=True):
            for policy, its in (("full", 0.0), ("random", rate), ("emp", rate)):
                seeds = [one for one in runs if (one.policy, one.prune_rate) == (policy, its)]
                trained = np.cumsum([entry["kept"] for entry in seeds[0].history])
                means = np.mean([[entry[key] for entry in one.history] for one in seeds], axis=0)
                np.testing.assert_allclose(curves(axes)[policy], np.stack([trained, means], axis=1))
            (end,) = [line.get_ydata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
            assert end == pytest.approx(curves(axes)["full"][-1][1])
            assert axes.get_xlim()[1] < SAMPLES * EPOCHS
    assert is_drawn(figure)


def test_bands_reach_from_the_lowest_to_the_highest_seed():
    runs = contrastive_runs(policies=("emp",), rates=(0.7,))
    (band,) = draw(compared(runs))["0.7"].axes[0].collections
    heights = band.get_paths()[0].vertices[:, 1]
    every = [entry["memory"] for one in runs for entry in one.history]
    assert (heights.min(), heights.max()) == pytest.approx((min(every), max(every)))


def test_seconds_of_different_machines_are_not_compared():
    other = run("emp", 0.7, 0, 30, [4.0, 2.4], device="another machine")
    assert len(draw(compared([*RUNS[:2], other]))["0.7"].axes) == 1


def test_runs_without_the_measurements_are_left_out():
    bare = [dataclasses.replace(one, history=[]) for one in contrastive_runs(policies=("random", "emp"))]
    assert not FIGURE.applies(compared(bare))
    batches = [{"kept": 3, "seconds": 1.0, "loss": 1.0, "accuracy": 0.5}]
    assert not FIGURE.applies(compared([made("full", 0.0, history=batches), made("emp", 0.7, history=batches)]))
    assert not FIGURE.applies(compared(RUNS[:2]))
    assert FIGURE.applies(compared([*RUNS, made("lfl", 0.7, metric=METRIC)]))
    some = compared([*RUNS[:4], made("lfl", 0.7, metric=METRIC)])
    assert "lfl" not in curves(draw(some)["0.7"].axes[0])
    assert set(curves(draw(compared([*RUNS[:4], run("lfl", 0.7, 0, 30, [4, 3])]))["0.7"].axes[0])) >= {"lfl", "emp"}


def test_of_many_policies_six_are_shown():
    names = ("short", "random", "rs2", "lfl", "ucb", "scan", "emp", "emp:beta=9")
    figure = draw(compared([contrastive_run(name, 0.7, 0) for name in names]))["0.7"]
    assert len(figure.axes[0].lines) == 6
