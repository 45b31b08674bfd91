"""The figure of the memory term over training: its curves by hand, and where there is none."""

import dataclasses

import numpy as np
import pytest
from contrastive_results import EPOCHS, SAMPLES, contrastive_run, contrastive_runs
from made_results import is_drawn, made

from emprune_lab.reporting import figures
from emprune_lab.reporting.contrastive_pictures import memory_pictures
from emprune_lab.reporting.figures.memory import measured
from emprune_lab.reporting.sample_captions import contrastive_map_caption
from emprune_lab.reporting.statistics import by_cell


def cells_of(runs):
    return {cell: list(seeds.values()) for cell, seeds in by_cell(runs).items()}


def test_lines_are_means_over_seeds_at_the_samples_trained():
    runs = contrastive_runs(policies=("full", "random", "emp"))
    figure = figures.memory_figure(cells_of(runs))
    assert len(figure.axes) == 4
    for axes, rate, key, scale in zip(
        figure.axes, (0.5, 0.7) * 2, ("memory",) * 2 + ("retrieved",) * 2, (1, 1, 100, 100), strict=True
    ):
        lines = {line.get_label(): line.get_xydata() for line in axes.lines}
        for policy, its in (("full", 0.0), ("random", rate), ("emp", rate)):
            seeds = [run for run in runs if (run.policy, run.prune_rate) == (policy, its)]
            expected, trained = [], 0
            for epoch in range(EPOCHS):
                trained += seeds[0].history[epoch]["kept"]
                expected.append((trained, scale * sum(run.history[epoch][key] for run in seeds) / len(seeds)))
            np.testing.assert_allclose(lines[policy], expected)
        ends = [line.get_ydata() for line in axes.lines if line.get_label().startswith("_")]
        assert len(ends) == 1
        assert ends[0][0] == pytest.approx(lines["full"][-1][1])
        assert axes.get_xlim()[1] < SAMPLES * EPOCHS
    assert is_drawn(figure)


def test_bands_reach_from_the_lowest_to_the_highest_seed():
    runs = contrastive_runs(policies=("emp",), rates=(0.7,))
    (band,) = figures.memory_figure(cells_of(runs)).axes[0].collections
    heights = band.get_paths()[0].vertices[:, 1]
    every = [entry["memory"] for run in runs for entry in run.history]
    assert heights.min() == pytest.approx(min(every))
    assert heights.max() == pytest.approx(max(every))
    alone = figures.memory_figure(cells_of(runs[:1]))
    assert not alone.axes[0].collections
    assert is_drawn(alone)


def test_the_picture_says_what_it_shows_and_what_it_leaves_out():
    (picture,) = memory_pictures(by_cell(contrastive_runs()))
    assert picture.name == "memory"
    for part in ("at most ln 511 = 6.24 nats", "the same term for all policies", "Means over 3 seeds; bands", "full"):
        assert part in picture.caption
    assert "Not shown" not in picture.caption
    one = memory_pictures(by_cell(contrastive_runs(seeds=1, policies=("random", "emp"))))[0].caption
    assert "bands" not in one
    assert "full" not in one
    more = [contrastive_run(name, 0.7, 0) for name in ("ucb", "rs2", "emp:beta=9")]
    caption = memory_pictures(by_cell([*contrastive_runs(), *more]))[0].caption
    assert "Not shown, for space: short, emp:memory=alignment, emp:beta=9." in caption


def test_runs_without_the_measurements_are_left_out():
    runs = contrastive_runs(policies=("full", "random", "emp"))
    bare = [dataclasses.replace(run, history=[{"kept": 3, "memory": 1.0}]) for run in runs]
    assert not any(map(measured, bare))
    assert memory_pictures(by_cell(bare)) == []
    assert memory_pictures(by_cell([made("full", 0.0), made("emp", 0.7)])) == []
    assert memory_pictures(by_cell([run for run in runs if run.policy == "full"])) == []
    some = [run for run in runs if run.policy != "emp"] + [run for run in bare if run.policy == "emp"]
    assert len(memory_pictures(by_cell(some))) == 1


@pytest.mark.parametrize(
    ("memory", "said"),
    [
        ("alignment", "two views in the base encoder’s output, at most 2"),
        ("stages", "“hidden”, entropy of the similarities to other views in the base encoder’s output, at most ln 511"),
        ("projector", "projector’s output, at most ln 511 = 6.24 nats"),
        ("none", "“hidden”"),
    ],
)
def test_the_picture_names_the_term_by_which_runs_are_looked_at(memory, said):
    recipe = contrastive_runs()[0].recipe
    recipe = recipe | {"contrastive": recipe["contrastive"] | {"memory": memory}}
    runs = [dataclasses.replace(run, recipe=recipe) for run in contrastive_runs()]
    assert said in memory_pictures(by_cell(runs))[0].caption
    low = "gives both views the same" if memory == "alignment" else "puts few others near it"
    assert f"Low: the base encoder {low}." in contrastive_map_caption(0.7, 0, runs[0])
