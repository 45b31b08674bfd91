"""The figure of held-out text over samples and seconds: what it draws, and where there is none."""

import numpy as np
from made_results import is_drawn, made

from emprune_lab.reporting.language_pictures import learning_figure, learning_pictures
from emprune_lab.reporting.statistics import by_cell

METRIC = "bits per character"


def run(policy, rate, seed, kept, bits, **changes):
    history = [{"kept": kept, "seconds": 2.0 + seed, METRIC: value, "loss": 1.0} for value in bits]
    return made(policy, rate, seed, bits[-1], metric=METRIC, history=history, **changes)


RUNS = [
    run("full", 0.0, 0, 100, [3.0, 2.0]), run("full", 0.0, 1, 100, [3.2, 2.2]),
    run("emp", 0.7, 0, 30, [4.0, 2.4]), run("emp", 0.7, 1, 30, [4.0, 2.8]),
    run("emp", 0.9, 0, 10, [5.0, 3.0]),
]  # fmt: skip


def test_curves_are_means_over_seeds_at_what_was_spent():
    figure = learning_figure({"full": RUNS[:2], "emp": RUNS[2:4]})
    samples, seconds = figure.axes
    lines = {line.get_label(): line.get_xydata() for line in samples.lines}
    np.testing.assert_allclose(lines["full"], [[100, 3.1], [200, 2.1]])
    np.testing.assert_allclose(lines["emp"], [[30, 4.0], [60, 2.6]])
    lines = {line.get_label(): line.get_xydata() for line in seconds.lines}
    np.testing.assert_allclose(lines["emp"], [[2.5, 4.0], [5.0, 2.6]])
    assert {text.get_text() for text in seconds.texts} == {"full  2.100", "emp  2.600"}
    assert is_drawn(figure)


def test_seconds_of_different_machines_are_not_compared():
    other = run("emp", 0.7, 0, 30, [4.0, 2.4], device="another machine")
    assert len(learning_figure({"full": RUNS[:2], "emp": [other]}).axes) == 1


def test_one_picture_a_rate_and_none_without_measurements():
    pictures = learning_pictures(by_cell(RUNS))
    assert [picture.name for picture in pictures] == ["learning-0.7", "learning-0.9"]
    assert "lower is better, means over 2 seeds" in pictures[0].caption
    assert "1 to 2 seeds" in pictures[1].caption
    assert learning_pictures(by_cell([made("full", 0.0), made("emp", 0.7)])) == []
    unmeasured = [*RUNS[:4], made("lfl", 0.7, metric=METRIC)]
    assert [picture.name for picture in learning_pictures(by_cell(unmeasured))] == ["learning-0.7"]
