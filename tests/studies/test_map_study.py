"""The study of where pruning pays: its measures by hand, its compact runs, and its files and page."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tyro
from made_results import comparison, is_drawn, made, texts
from studies.map.__main__ import main
from studies.map.cells import cells
from studies.map.gap import Correlation, points
from studies.map.gap_figure import gap_figure
from studies.map.lossless import groups, lossless
from studies.map.map_figure import map_figure, panels_of
from studies.map.measures import as_labelled, gain, generalisation_gap, plain_of, speed_up
from studies.map.names import FIXED, GATED, POLICIES
from studies.map.page import filled
from studies.map.runs import Run, merged, pack, read, unpack, write
from studies.map.sources import OWN, committed_runs, own_runs

from emprune_lab.commandline.commands import Compare

PAGE = OWN.parent


def cell_of(*results):
    (cell,) = cells([Run.of(result) for result in results])
    return cell


def pair(policy, values, randoms, **changes):
    """Runs of a policy and of random, one a seed."""
    return [
        made(name, 0.7, seed, value, **changes)
        for name, column in ((policy, values), ("random", randoms))
        for seed, value in enumerate(column)
    ]


def plain(samples, values):
    return [made("short", 0.5, seed, value, samples_backward=samples) for seed, value in enumerate(values)]


# Measures.


def test_gain_is_paired_by_seed():
    cell = cell_of(*pair("emp", [0.80, 0.90, 0.95], [0.79, 0.88]))
    found = gain(cell, "emp")
    assert (found.value, found.count) == (pytest.approx(1.5), 2)
    assert gain(cell, "lfl") is None


def test_bits_are_negated_and_have_no_gain_in_accuracy():
    cell = cell_of(*pair("emp", [1.8, 1.9], [1.9, 2.1], metric="bits per character"))
    assert gain(cell, "emp").value == pytest.approx(0.15)
    assert gain(cell, "emp", lambda run: run.accuracy) is None
    assert generalisation_gap(cell) is None


def test_a_cell_of_unequal_samples_is_refused():
    with pytest.raises(ValueError, match="different numbers"):
        cell_of(made("random"), made("emp", samples_backward=901))


def test_the_ladder_holds_lengths_that_all_seeds_have_and_goes_on_with_seeds_that_went_further():
    lengths = plain(100, [0.80, 0.82, 0.84]) + plain(400, [0.90, 0.92, 0.94]) + plain(1600, [0.94, 0.96])
    runs = [Run.of(run) for run in lengths]

    def found(values):
        (cell,) = cells([*runs, *(Run.of(run) for run in pair("emp", values, values, samples_backward=100))])
        return cell

    assert set(plain_of(found([0.9] * 3), range(3))) == {100, 400}
    assert set(plain_of(found([0.9] * 3), range(2))) == {100, 400, 1600}

    def said(values):
        one = speed_up(found(values), "emp")
        return pytest.approx(one.value), one.bound, one.count

    assert said([0.85, 0.87, 0.89]) == (2.0, "", 3)
    # Above what three seeds reach: of the two that went further, half way in logarithms.
    assert said([0.92, 0.94, 0.99]) == (8.0, "", 2)
    assert said([0.96, 0.97, 0.99]) == (16.0, "≥", 2)
    assert speed_up(cell_of(*pair("emp", [0.9], [0.8])), "emp") is None


def test_plain_training_of_two_studies_is_their_mean():
    runs = [*plain(100, [0.80]), *plain(100, [0.84]), *pair("emp", [0.9], [0.8])]
    assert cell_of(*runs).plain == {100: {0: pytest.approx(82)}}


def test_accuracy_on_labels_that_are_wrong_as_often():
    rng, classes = np.random.default_rng(0), 10
    truth = rng.integers(classes, size=200_000)
    shift = np.where(rng.random(len(truth)) < 0.2, rng.integers(1, classes, len(truth)), 0)
    error = np.where(rng.random(len(truth)) < 0.15, rng.integers(1, classes, len(truth)), 0)
    place = Run.of(made(label_noise=0.2)).place
    accuracy = 100 * float((error == 0).mean())
    assert as_labelled(place, accuracy) == pytest.approx(100 * float((error == shift).mean()), abs=0.3)


def test_generalisation_gap_is_that_of_random():
    runs = pair("emp", [0.95, 0.95], [0.7, 0.8], remembered=0.9)
    assert generalisation_gap(cell_of(*runs)).value == pytest.approx(15)
    assert points([cell_of(*runs)], "emp")[0].gain.value == pytest.approx(20)


def test_rank_correlation_by_hand():
    assert Correlation.of([1, 2, 3, 4], [10, 20, 40, 30]) == Correlation(pytest.approx(0.8), 4)
    assert Correlation.of([1, 2], [1, 2]) == Correlation(None, 2)
    assert Correlation.of([1, 1, 1], [1, 2, 3]).value is None


def test_lossless_is_the_highest_rate_that_loses_little():
    runs = comparison()
    close = [made("rs2", rate, seed, value) for rate in (0.5, 0.8) for seed, value in enumerate([0.951, 0.9595, 0.97])]
    random = [made("random", rate, seed, 0.9) for rate in (0.5, 0.8) for seed in range(3)]
    (group,) = groups(cells([Run.of(run) for run in [*runs, *close, *random]]))
    found = lossless(group, "rs2")
    assert found.rate == 0.8
    assert found.differences[0.5].value == pytest.approx(100 * (0.001 - 0.0005) / 3)
    assert lossless(group, "emp").rate is None
    assert lossless(group, "infobatch") is None


# Runs in small.


def test_packed_runs_are_those_that_were_packed(tmp_path):
    command = "emprune compare --data digits --out /tmp/x --jobs 1"
    results = [
        made(policy, 0.7, seed, 0.5 + seed / 3, label_noise=noise, command=command)
        for policy in ("random", "emp") for seed in range(2) for noise in (0.0, 0.2)
    ]  # fmt: skip
    packed = pack(results)
    assert [one["command"] for one in packed[0]["origins"]] == [
        "emprune compare --data digits --out runs/map/digits-mlp-30-0.7 --jobs 1"
    ]
    write(tmp_path / "runs.json", packed)
    stored = {(run.policy, run.seed, run.place): run for run in read(tmp_path / "runs.json")}
    assert len(stored) == len(results) == len(unpack(packed))
    for result in results:
        run = Run.of(result)
        found = stored[run.policy, run.seed, run.place]
        assert found.value == pytest.approx(run.value, abs=1e-3)
        assert (found.samples, found.epochs, found.prune_rate) == (run.samples, run.epochs, run.prune_rate)


def test_runs_of_one_length_and_rate_share_their_settings():
    runs = [made("random", 0.9), made("random", 0.7), made("lfl", 0.9)]
    assert [one["folder"] for one in pack(runs)] == ["digits-mlp-30-0.7", "digits-mlp-30-0.9"]
    apart = [one["folder"] for one in pack([made("random", 0.7), made("random", 0.7, anneal=0.1)])]
    assert apart == ["digits-mlp-30-0.7", "digits-mlp-30-0.7-annealed-0.1"]
    with pytest.raises(ValueError, match="imbalance"):
        pack([made("random"), made("random", imbalance=5.0)])


def test_a_run_counts_once_and_beside_random_only():
    runs = [made("random", seed=0), made("lfl", seed=0), made("lfl", seed=1), made("random", seed=0)]
    (folder,) = merged([], pack(runs))
    assert [(row[0], row[2]) for row in folder["runs"]] == [("lfl", 0), ("random", 0)]


def test_new_runs_join_packed_ones_or_replace_them():
    before = pack([made("random", 0.7), made("lfl", 0.7, accuracy=0.5, git_commit="old"), made("random", 0.9)])
    again = pack([made("lfl", 0.7, accuracy=0.95, git_commit="new"), made("emp", 0.7, git_commit="new")])
    found, other = merged(before, again)
    assert other == before[1]
    assert [(row[0], row[4]) for row in found["runs"]] == [("emp", 0.9), ("lfl", 0.95), ("random", 0.9)]
    assert sorted(origin["git_commit"] for origin in found["origins"]) == ["abc", "new"]
    lfl, random = (unpack([found])[place] for place in (1, 2))
    assert (lfl.policy, lfl.value, random.policy) == ("lfl", 95, "random")
    assert found["origins"][found["runs"][1][-1]]["git_commit"] == "new"
    with pytest.raises(ValueError, match="differ in imbalance"):
        merged(before, pack([made("lfl", 0.7, imbalance=5.0)]))


# Figures.


def test_the_map_has_a_panel_a_setting_and_a_legend_of_all_policies():
    found = cells([*committed_runs(), *own_runs()])
    figure = map_figure(found)
    drawn = [axes for axes in figure.axes if axes.axison]
    assert len(drawn) == len(panels_of(found)) >= 9
    (legend,) = figure.legends
    named = [text.get_text() for text in legend.get_texts()]
    assert named == [POLICIES[policy] for policy in POLICIES if any(policy in cell.runs for cell in found)]
    assert is_drawn(figure)


def test_what_lies_beyond_the_scale_is_written_at_its_edge():
    runs = [
        *pair("emp", [0.5, 0.5], [0.90, 0.91]),
        *pair("emp", [0.9, 0.9], [0.9, 0.9], samples_backward=300, prune_rate=0.9),
    ]
    assert texts(map_figure(cells([Run.of(run) for run in runs]))) == ["−40.5"]


def test_the_gap_has_a_mark_a_cell():
    found = cells([*committed_runs(), *own_runs()])
    figure = gap_figure(found)
    for axes, policy in zip(figure.axes, (FIXED, GATED), strict=False):
        count = len(points(found, policy))
        assert f"{count} cells" in axes.get_title("left")
        assert sum(len(line.get_xdata()) == 1 for line in axes.lines) == count
    assert is_drawn(figure)


# What is committed.


def test_tables_summary_and_page_are_those_of_the_runs(tmp_path):
    assert main(["--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"table.md", "summary.json", "map.png", "gap.png", "README.md"}
    for name in ("table.md", "summary.json", "README.md"):
        assert (tmp_path / name).read_text() == (PAGE / name).read_text(), "python -m studies.map makes them anew"
    found = json.loads((tmp_path / "summary.json").read_text())
    assert len(found["cells"]) == len(cells([*committed_runs(), *own_runs()]))


def test_a_page_that_asks_for_an_unknown_table_is_refused():
    with pytest.raises(ValueError, match="there are all"):
        filled("<!-- made: other -->\n<!-- end -->", {"all": ""})


def test_the_documented_commands_ask_for_the_committed_runs():
    asked = set()
    for words in documented():
        command = tyro.cli(Compare, args=words)
        for spec in command.specs():
            recipe = spec.recipe
            asked.add(
                (Path(command.out).name, spec.policy, spec.label_noise, spec.seed, spec.prune_rate, recipe.epochs)
            )
    for folder in json.loads(OWN.read_text()):
        for row in folder["runs"]:
            said = dict(zip(folder["columns"], row, strict=True))
            run = (said["policy"], said["label_noise"], said["seed"], folder["prune_rate"], folder["recipe"]["epochs"])
            assert (folder["folder"], *run) in asked


def documented():
    """The arguments of each call of emprune compare on the page, as a shell expands them."""
    lines = [line[4:] for line in (PAGE / "README.md").read_text().splitlines() if line.startswith("    ")]
    script = "\n".join(line for line in lines if not line.startswith("python"))
    said = subprocess.run(
        ["bash", "-euc", f'emprune() {{ shift; echo "$*"; }}\n{script}'], capture_output=True, text=True, check=True
    )
    return [line.split() for line in said.stdout.splitlines()]


def test_runs_say_where_they_come_from_and_name_no_folder_of_a_machine():
    for folder in json.loads(OWN.read_text()):
        for origin in folder["origins"]:
            assert re.fullmatch("[0-9a-f]{40}", origin["git_commit"])
            assert f"--out runs/map/{folder['folder']}" in origin["command"]
    assert "/work" not in OWN.read_text()
