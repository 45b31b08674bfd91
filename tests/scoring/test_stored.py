"""Scores in a file: they come back as they were, and what is none of them is named."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch

from emprune import ArgumentError, Pruner
from emprune.scoring.stored import load_scores, save_scores


def test_stored_scores_come_back(tmp_path) -> None:
    path = tmp_path / "scores.npz"
    save_scores(path, a=[1.5, 2.5], b=torch.tensor([1, 2]), c=torch.tensor([0.5, 1.0], dtype=torch.bfloat16))
    columns = load_scores(path)
    assert {name: (str(array.dtype), array.tolist()) for name, array in columns.items()} == {
        "a": ("float32", [1.5, 2.5]), "b": ("int64", [1, 2]), "c": ("float32", [0.5, 1.0]),
    }  # fmt: skip
    assert [file.name for file in tmp_path.iterdir()] == ["scores.npz"]


def test_an_exported_score_table_is_a_file_of_scores(tmp_path) -> None:
    pruner = Pruner(3, "lfl", prune_rate=0.5, num_epochs=2, warmup_epochs=1)
    pruner.loss(torch.arange(3), torch.tensor([3.0, 1.0, 2.0]))
    columns = load_scores(pruner.export(tmp_path / "table.npz"))
    assert columns["loss"].tolist() == [3.0, 1.0, 2.0]


def test_a_failed_write_leaves_the_old_scores(tmp_path, monkeypatch) -> None:
    path = save_scores(tmp_path / "scores.npz", a=[1.0])

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        save_scores(path, a=[2.0])
    assert load_scores(path)["a"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("columns", "name", "message"),
    [
        ({"a": [1.0]}, "scores.csv", r"path is '.*scores.csv'; allowed: a name that ends in .npz"),
        ({}, "s.npz", r"columns is \{\}; allowed: one column or more"),
        ({"a": [1.0], "b": [1.0, 2.0]}, "s.npz", r"columns is \{'a': 1, 'b': 2\}; allowed: .*same length"),
        ({"a": [[1.0]]}, "s.npz", r"a is 'float64 of shape \(1, 1\)'; allowed: numbers"),
        ({"a": ["x"]}, "s.npz", "a is '<U1 of shape"),
    ],
)
def test_what_cannot_be_stored_is_named(columns: dict, name: str, message: str, tmp_path) -> None:
    with pytest.raises(ArgumentError, match=message):
        save_scores(tmp_path / name, **columns)
    assert not list(tmp_path.iterdir())


def damaged(path, damage: str) -> None:
    whole = save_scores(path, a=np.arange(1000.0)).read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("id,score\n0,1\n")
    elif damage == "garbled":
        path.write_bytes(whole[:60] + bytes(200) + whole[260:])
    elif damage == "one array":
        with path.open("wb") as file:
            np.save(file, np.arange(3.0))
    elif damage == "objects":
        np.savez(path, a=np.array([{"x": 1}], dtype=object))
    elif damage == "matrix":
        np.savez(path, a=np.zeros((2, 2)))
    elif damage == "another archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "hello")
    elif damage == "no column":
        np.savez(path)


DAMAGES = [
    "missing",
    "cut",
    "empty",
    "text",
    "garbled",
    "one array",
    "objects",
    "matrix",
    "another archive",
    "no column",
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_none_of_scores_is_named(damage: str, tmp_path) -> None:
    damaged(tmp_path / "s.npz", damage)
    with pytest.raises(ArgumentError, match=r"scores is .*s\.npz.*; allowed: "):
        load_scores(tmp_path / "s.npz")
