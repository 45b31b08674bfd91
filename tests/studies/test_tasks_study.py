"""The study of tasks with several labels and maps of classes: its canvases, its command, and its page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from studies.tasks.__main__ import main
from studies.tasks.canvases import INK, TRAIN_DIGITS, canvases
from studies.tasks.table import POLICIES, table
from studies.tasks.training import TASKS, mean_iou
from torch import nn

PAGE = Path(__file__).parents[2] / "studies" / "tasks"
SIZES = {"train-size": "100", "test-size": "40", "epochs": "4", "batch-size": "10"}
SMALL = [word for name, value in SIZES.items() for word in (f"--settings.{name}", value)]


def test_a_canvas_shows_the_digits_of_its_labels_and_its_mask() -> None:
    found = canvases(50, seed=3, train=True)
    assert found.images.shape == (50, 1, 16, 16)
    assert torch.equal((found.images[:, 0] + 1) * 8 >= INK, found.masks > 0)
    for present, mask in zip(found.present, found.masks, strict=True):
        drawn = set(torch.nonzero(present).flatten().tolist())
        visible = set(mask.unique().tolist()) - {0}
        assert 1 <= len(drawn) <= 3
        assert {label - 1 for label in visible} <= drawn


def test_canvases_repeat_and_those_for_evaluation_are_made_of_other_digits() -> None:
    first, again, other = (canvases(20, seed, train=True).images for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert TRAIN_DIGITS < 1797
    assert not torch.equal(first, canvases(20, 0, train=False).images)


def test_mean_iou_is_what_a_naive_loop_counts() -> None:
    class Fixed(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            draw = torch.Generator().manual_seed(0)
            return torch.randn(len(images), 11, 16, 16, generator=draw)

    data = canvases(30, 0, train=True)
    found, right = Fixed()(data.images).argmax(1), data.masks
    each = []
    for label in range(11):
        both, either = ((found == label) & (right == label)).sum(), ((found == label) | (right == label)).sum()
        each.append((both / either).item())
    assert mean_iou(Fixed(), data) == pytest.approx(np.mean(each))


def test_the_command_trains_what_is_missing_and_pruned_runs_have_equal_samples(tmp_path: Path) -> None:
    assert main([*SMALL, "--seeds", "0", "--out", str(tmp_path)]) == 0
    first = json.loads((tmp_path / "runs.json").read_text())
    assert main([*SMALL, "--seeds", "0", "1", "--out", str(tmp_path)]) == 0
    runs = json.loads((tmp_path / "runs.json").read_text())
    assert runs[: len(first)] == first
    assert len(runs) == 2 * len(first) == 2 * len(TASKS) * len(POLICIES)
    for run in runs:
        assert run["samples_backward"] == {"full": 400, "short": 100}.get(run["policy"], 120)
        assert 0 <= run["value"] <= 1
    assert (tmp_path / "table.md").read_text() == table(runs)


def test_the_page_s_table_is_that_of_its_runs() -> None:
    runs = json.loads((PAGE / "runs.json").read_text())
    assert {run["seed"] for run in runs} == {0, 1, 2}
    assert len(runs) == 3 * len(TASKS) * len(POLICIES)
    assert table(runs) in (PAGE / "README.md").read_text()
