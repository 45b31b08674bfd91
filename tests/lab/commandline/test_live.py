"""What a person sees while runs train, in terminals of any width."""

import io
import re

import pytest
from made_results import made
from rich.console import Console

from emprune_lab.commandline.live import Line, LiveView, lines_of
from emprune_lab.runs.event import Event
from emprune_lab.runs.progress import Progress
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import recipe_for

STANDING = Progress(11, 24, 6_000, 20_000, 550, 1_200, 0.4312, 0.8765, 12_345.6, 95.0)


def spec(policy="infobatch-published:keep=0.5", seed=3):
    return RunSpec("digits", policy, 0.7, seed, recipe_for("digits"), label_noise=0.2)


def view(width, work, terminal=True):
    return LiveView(Console(file=io.StringIO(), width=width, force_terminal=terminal), work)


def seen(live, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(live._lines())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 100, 110, 200])
def test_every_run_has_one_whole_line_with_a_bar(width):
    runs = [spec(), spec("emp", 4)]
    live = view(width, {run.run_id: 100 for run in runs})
    for run in runs:
        live.show(Event(run, STANDING))
    lines = seen(live, width)
    assert [len(line) <= width for line in lines] == [True] * 3
    for line, seed in zip(lines[1:], (3, 4), strict=True):
        assert (f"0.7 s{seed} n0.2 " if width < 100 else f" rate 0.7 seed {seed} noise 0.2 ") in line
        assert re.search(r"━{4,}", line)
        assert " 45% " in line
        assert "epoch 12/24" in line
        told = line.split("%", 1)[1].split("  ")
        whole = {"epoch 12/24", "loss 0.431", "train acc 87.6%", "kept 6000/20000", "12,346 samples/s", "1.6 min saved"}
        assert {one.strip() for one in told if one.strip()} <= whole
    assert "0/2" in lines[0]
    assert ("1.6 min saved" in lines[1]) == (width == 200)


def test_a_long_name_loses_neither_rate_nor_seed():
    lines = lines_of([Line("x" * 60 + " rate 0.7 seed 12", "", 10)], 120)
    console = Console(file=io.StringIO(), width=120)
    console.print(lines)
    assert "x… rate 0.7 seed 12" in console.file.getvalue()


def test_ends_are_told_at_once_and_counted():
    runs = [spec("emp", seed) for seed in range(3)]
    live = view(100, {run.run_id: 100 for run in runs}, terminal=False)
    with live:
        live.show(Event(runs[0], result=made(accuracy=0.9)))
        live.show(Event(runs[1], STANDING))
        live.show(Event(runs[1], error="no more memory"))
        live.show(Event(runs[2], STANDING))
        assert seen(live, 100)[0].endswith("2/3  1 failed")
        assert len(seen(live, 100)) == 2
        live.show(Event(runs[2]))  # stopped
    printed = live._console.file.getvalue()
    assert "[1/3] emp rate 0.7 seed 0 noise 0.2: accuracy 90.00%" in printed
    assert "[failed] emp rate 0.7 seed 1 noise 0.2: no more memory" in printed
    assert len(printed.split("[")) == 3
