"""A file is written whole or not at all, and what it replaces is kept only where that is asked for."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from states import names

from emprune.checkpoint import atomic_write


def test_the_new_file_replaces_the_old_one_which_is_kept_only_if_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for text in ("first", "second", "third"):
        atomic_write(path, lambda new, text=text: new.write_text(text))
    assert names(tmp_path) == ["a.txt"]
    atomic_write(str(path), lambda new: new.write_text("fourth"), keep_previous=True)
    assert [(tmp_path / name).read_text() for name in names(tmp_path)] == ["fourth", "third"]


def test_a_writer_that_fails_half_way_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(new: Path) -> None:
        new.write_text("ne")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left") as caught:
        atomic_write(path, fail)
    assert caught.value.filename == str(path)
    assert names(tmp_path) == ["a.txt"]
    assert path.read_text() == "old"


def test_the_suffix_is_that_of_the_file(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a.npy", lambda new: np.save(new, np.arange(3)))
    assert np.load(tmp_path / "a.npy").tolist() == [0, 1, 2]


def test_a_write_in_the_middle_of_another_one_leaves_both_whole(tmp_path: Path) -> None:
    """As from a signal's handler; the one that ends last wins."""
    path, kept = tmp_path / "a.txt", {"keep_previous": True}
    path.write_text("first")

    def interrupted(new: Path) -> None:
        new.write_text("out")
        atomic_write(path, lambda inner: inner.write_text("inner"), **kept)
        new.write_text("outer")

    atomic_write(path, interrupted, **kept)
    assert [(tmp_path / name).read_text() for name in names(tmp_path)] == ["outer", "inner"]
