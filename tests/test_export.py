"""The table as a file."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from emprune import ArgumentError, Pruner

NAMES = ["id", "loss", "memory", "last_seen", "times_trained"]


@pytest.fixture
def pruner() -> Pruner:
    """Three samples, of which two were seen, in an epoch that still runs."""
    pruner = Pruner(3, "emp", prune_rate=0.0, num_epochs=1)
    pruner.loss(torch.tensor([2, 0]), torch.tensor([0.5, 0.25]), torch.tensor([0.125, 1.0]))
    return pruner


def test_npz_holds_the_columns_with_their_types(pruner: Pruner, tmp_path: Path) -> None:
    path = pruner.export(tmp_path / "scores.npz")
    with np.load(path) as data:
        assert list(data) == NAMES
        assert [data[name].dtype for name in NAMES] == [np.int64, np.float32, np.float32, np.int32, np.int32]
        assert data["id"].tolist() == [0, 1, 2]
        assert data["loss"].tolist() == [0.25, np.inf, 0.5]
        assert data["memory"].tolist() == [1.0, 0.0, 0.125]
        assert data["last_seen"].tolist() == [0, -1, 0]
        assert data["times_trained"].tolist() == [1, 0, 1]


def test_a_running_average_is_a_column_more(tmp_path: Path) -> None:
    pruner = Pruner(2, "emp", prune_rate=0.0, num_epochs=2, remember="mean")
    pruner.loss(torch.tensor([1]), torch.tensor([0.5]), torch.tensor([0.0]))
    with np.load(pruner.export(tmp_path / "scores.npz")) as data:
        assert list(data) == [*NAMES, "mean_loss"]
        np.testing.assert_array_equal(data["mean_loss"], np.float32([np.nan, 0.5]))


def test_csv_reads_back(pruner: Pruner, tmp_path: Path) -> None:
    with pruner.export(str(tmp_path / "scores.csv")).open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == NAMES
    assert [[float(cell) for cell in row] for row in rows[1:]] == [
        [0, 0.25, 1.0, 0, 1], [1, float("inf"), 0, -1, 0], [2, 0.5, 0.125, 0, 1],
    ]  # fmt: skip


def test_parquet_reads_back_or_says_what_to_install(pruner: Pruner, tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    if importlib.util.find_spec("pyarrow") is None:
        with pytest.raises(ArgumentError, match=r"path is '.*scores.parquet'; allowed: .npz or .*pip install pyarrow"):
            pruner.export(path)
        assert not path.exists()
        return
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(pruner.export(path))
    assert table.column_names == NAMES
    assert table["loss"].to_pylist() == [0.25, float("inf"), 0.5]


def test_another_suffix_is_refused(pruner: Pruner, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"path is '.*scores.txt'; allowed: a name that ends in .npz, .csv, .par"):
        pruner.export(tmp_path / "scores.txt")
    assert not list(tmp_path.iterdir())
