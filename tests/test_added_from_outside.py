"""What CONTRIBUTING promises: a policy, an image data set and a figure are one file each, and nothing else changes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import emprune
import emprune_lab

POLICY = '''
from emprune.policies.base import Policy, Request
from emprune.selection import Selection


class Stalest(Policy):
    """The k samples seen the longest ago."""

    name = "stalest"
    source = "this test"

    def select(self, request: Request) -> Selection:
        return request.top(request.epoch - request.table.last_seen)
'''
IMAGES = '''
import torch

from emprune_lab.data.images import IMAGES, ImageData


@IMAGES.add("stripes", preset="digits")
def load_stripes(data_dir):
    """Horizontal and vertical stripes, 80 images of 8×8."""
    labels = torch.arange(80) % 2
    lines = torch.tensor([0, 255] * 4, dtype=torch.uint8).expand(8, 8)
    images = torch.stack([lines if label else lines.T for label in labels])[:, None]
    return ImageData("stripes", images, labels, labels, images[:20], labels[:20], ("vertical", "horizontal"))
'''
FIGURE = '''
from emprune_lab.report.figure import ReportFigure
from emprune_lab.report.style import new_figure


def draw(comparison):
    """A bar for each row of the table."""
    figure = new_figure(2)
    figure.add_subplot().bar([row.policy for row in comparison.rows], [row.mean.value for row in comparison.rows])
    return figure


FIGURE = ReportFigure("bars", "Bars of the test", "One bar a policy.", draw, lambda comparison: comparison.pruned)
'''


@pytest.fixture
def sources(tmp_path_factory):
    """A copy of both distributions with three files added to it, since folders are searched when they are imported."""
    root = tmp_path_factory.mktemp("sources")
    for package in (emprune, emprune_lab):
        source = Path(package.__file__).parent
        shutil.copytree(source, root / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in {
        "emprune/policies/stalest.py": POLICY,
        "emprune_lab/data/stripes.py": IMAGES,
        "emprune_lab/report/figures/bars.py": FIGURE,
    }.items():
        assert not (root / path).exists()
        (root / path).write_text(text)
    return root


def test_one_comparison_has_the_policy_the_data_set_and_the_figure(sources, tmp_path):
    arguments = (
        "compare --data stripes --policies random,stalest --prune-rates 0.5 --seeds 2 --epochs 2 --jobs 1 --out ."
    )
    done = subprocess.run(
        [sys.executable, "-m", "emprune", *arguments.split()], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(sources), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert [(one["data"], one["policy"], one["seed"]) for one in results] == [
        ("stripes", policy, seed) for seed in (0, 1) for policy in ("random", "stalest")
    ]
    assert {(one["num_samples"], one["samples_backward"]) for one in results} == {(80, 2 * 40)}
    for run in results:
        trained = np.load(tmp_path / "runs" / run["run_id"] / "samples.npz")["times_trained"]
        # Two epochs of one half, the stalest first: each sample once, which random subsets do not achieve.
        assert (trained.tolist() == [1] * 80) == (run["policy"] == "stalest")
    assert "| 0.5 | stalest |" in (tmp_path / "table.md").read_text()
    assert ">Bars of the test</h3>" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "figures" / "stripes-mlp-test-set-clean-bars.png").read_bytes().startswith(b"\x89PNG")
