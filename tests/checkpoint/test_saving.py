"""A state on disk is the state that was saved, or an error; nothing in between."""

from __future__ import annotations

import errno
import itertools
import os
import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from kill_run import Server
from states import names, new_pruner, same, simple, trained

from emprune import IdBatches, StateError, checkpoint
from emprune.checkpoint import load_state, save_state
from emprune.policies import REGISTRY


@contextmanager
def failing(name: str, at: int) -> Iterator[None]:
    """Inside, a function of os (or Path.replace) fails at its ``at``-th call, as on a full or broken disk."""
    target = Path if name == "replace" else os
    real, calls = getattr(target, name), itertools.count()

    def fail(*arguments: Any) -> Any:
        if next(calls) == at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, name, fail)
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.mark.parametrize("policy", sorted(REGISTRY))
def test_every_policys_state_comes_back_bit_by_bit(policy: str, tmp_path: Path) -> None:
    pruner = trained(policy)
    path = checkpoint.save(pruner, tmp_path / "run.state")
    loaded = load_state(path)
    assert loaded.pop("run") == {"dataset_fingerprint": None, "batch_size": None}
    assert same(loaded, pruner.state_dict())
    again = new_pruner(policy)
    checkpoint.restore(again, path)
    assert same(again.state_dict(), pruner.state_dict())
    assert [ids.tolist() for ids in IdBatches(again, 7)]
    assert names(tmp_path) == ["run.state"]


def test_the_one_before_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.state"
    for value in range(4):
        save_state(path, simple(value))
        assert same(load_state(path), simple(value))
    assert names(tmp_path) == ["run.state", "run.state.previous"]
    assert same(load_state(tmp_path / "run.state.previous"), simple(2))


def test_the_file_has_the_mode_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    assert save_state(tmp_path / "x", simple()).stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_missing_or_damaged_file_is_an_error_or_an_announced_fall_back(tmp_path: Path) -> None:
    path, previous = tmp_path / "run.state", tmp_path / "run.state.previous"
    with pytest.raises(StateError, match=r"run\.state does not exist; allowed: a file written by emprune[^(]*$"):
        load_state(path)
    with pytest.raises(
        StateError, match=r"run.state does not exist.*Nor can the one before it.*previous does not exist"
    ):
        load_state(path, fall_back=True)
    save_state(path, simple(1.0))
    save_state(path, simple(2.0))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StateError, match=r"is damaged: .*run.state.previous .fall_back=True"):
        load_state(path)
    with pytest.warns(UserWarning, match=r"run.state is damaged: .*Going on from the one saved before it, .*previous"):
        assert same(load_state(path, fall_back=True), simple(1.0))
    path.unlink()
    with pytest.raises(StateError, match=r"does not exist.*fall_back=True"):
        load_state(path)
    with pytest.warns(UserWarning, match="does not exist"):
        assert same(load_state(path, fall_back=True), simple(1.0))
    previous.write_bytes(b"")
    with pytest.raises(StateError, match=r"does not exist.*Nor can the one before it be loaded: .*0 bytes"):
        load_state(path, fall_back=True)


def test_a_damaged_newest_does_not_push_out_the_whole_one_before_it(tmp_path: Path) -> None:
    path = tmp_path / "run.state"
    save_state(path, simple(1.0))
    save_state(path, simple(2.0))
    path.write_bytes(b"damaged")
    with pytest.raises(StateError, match="cannot be saved"), failing("replace", at=0):
        save_state(path, simple(3.0))
    assert same(load_state(tmp_path / "run.state.previous"), simple(1.0))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="is no file; allowed"):
        load_state(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(StateError, match=r"cannot be saved to .*folder: .*[Ii]s a directory"):
        save_state(tmp_path / "folder", simple())
    with pytest.raises(StateError, match=r"cannot be saved to .*No such file.*existing folder"):
        save_state(tmp_path / "missing" / "x", simple())
    assert names(tmp_path) == ["folder"]


def test_a_kill_during_a_save_leaves_a_whole_file(server: Server, tmp_path: Path) -> None:
    rng, path, most = random.Random(6), tmp_path / "again.state", 0
    for kill in range(25):
        count, code = server.run(
            tmp_path, "save again and again", after=rng.randrange(3) or 1, delay=rng.uniform(0, 0.02), size=30_000
        )
        assert code == -9
        state = load_state(path)
        assert most + count <= state["saves"] + 1 <= most + count + 1, kill
        most = state["saves"] + 1
        older = load_state(tmp_path / "again.state.previous") if state["saves"] > 1 else None
        assert older is None or 1 <= state["saves"] - older["saves"] <= 2
        for one in [state, older] if older else [state]:
            for i in range(4):
                assert set(one[f"column.{i}"].tolist()) == {one["saves"] + i}
    assert most > 25
    save_state(path, simple())
    assert names(tmp_path) == ["again.state", "again.state.previous"]


@pytest.mark.parametrize(("name", "at"), [("fsync", 0), ("fsync", 1), ("replace", 0), ("replace", 1)])
def test_a_failing_disk_leaves_a_whole_file(name: str, at: int, tmp_path: Path) -> None:
    path = tmp_path / "run.state"
    for value in (1.0, 2.0):
        save_state(path, simple(value))
    with (
        pytest.raises(
            StateError,
            match=r"cannot be saved to .*run.state: .*No space left.*run.state.*needs 0.000 MB .* MB are free",
        ),
        failing(name, at),
    ):
        save_state(path, simple(3.0))
    new_is_there = (name, at) in {("fsync", 1), ("replace", 1)}
    assert same(load_state(path), simple(3.0 if new_is_there else 2.0))
    load_state(tmp_path / "run.state.previous")
    assert names(tmp_path) == ["run.state", "run.state.previous"]


def test_without_hard_links_both_are_kept_too(tmp_path: Path) -> None:
    path = save_state(tmp_path / "run.state", simple(1.0))
    with failing("link", at=0):
        save_state(path, simple(2.0))
    assert same(load_state(path), simple(2.0))
    assert same(load_state(tmp_path / "run.state.previous"), simple(1.0))


@pytest.mark.parametrize("room", [0, 1, 7, 300, 2_000, 40_000, -1])
def test_a_full_disk_leaves_a_whole_file(room: int, tmp_path: Path) -> None:
    """The limit on a file's size makes real writes fail, at a chosen byte."""
    path = save_state(tmp_path / "run.state", simple(1.0))
    large = {**simple(2.0), "column": torch.arange(10_000)}
    size = save_state(tmp_path / "large", large).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room % size, hard))
    try:
        with pytest.raises(StateError, match=r"cannot be saved to .*too large.*before is still whole"):
            save_state(path, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert same(load_state(path), simple(1.0))
    assert names(tmp_path) == ["large", "run.state"]
