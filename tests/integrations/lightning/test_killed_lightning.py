"""Lightning killed again and again, on one process or two, trains as if it were not: samples, order, weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_runs import BATCH, N, Server

PRUNED = {0: 16, 1: 16, 2: 16, 3: 64}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def logged(folder: Path, session: int, rank: int) -> list[dict[str, Any]]:
    """Batches that a rank began to train in a session; a line that the kill cut is left out."""
    lines = (folder / f"log-{session}-{rank}").read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def ended(folder: Path, rank: int = 0) -> dict[str, Any]:
    return json.loads((folder / f"end-{rank}").read_text())


def last_checkpoint(folder: Path) -> tuple[str | None, int]:
    """The newest one, and how many batches of each rank it holds."""
    found = sorted((folder / "out").glob("step=*.ckpt"), key=lambda path: int(path.stem.split("=")[1]))
    if not found:
        return None, 0
    loops = torch.load(found[-1])["loops"]["fit_loop"]
    return str(found[-1]), loops["epoch_loop.batch_progress"]["total"]["ready"]


def run(server: Server, folder: Path, kills: list[int], ranks: int = 1, **settings: Any) -> list[list[dict[str, Any]]]:
    """Train, killed after so many batches of each session; what each rank trained of what was kept."""
    folder.mkdir()
    done: list[list[dict[str, Any]]] = [[] for _ in range(ranks)]
    for session, stop in enumerate([*kills, None]):
        checkpoint, batches = last_checkpoint(folder)
        _, code = server.run(
            folder, "lightning", session=session, stop=stop, resume=checkpoint, ranks=ranks, **settings
        )  # fmt: skip
        assert code == (0 if stop is None else -9)
        done = [rows[:batches] + logged(folder, session, rank) for rank, rows in enumerate(done)]
    return done


# Epochs have 4, 4, 4 and 16 batches, a checkpoint comes after each third or fourth update.
@pytest.mark.parametrize(
    ("kills", "settings"),
    [
        ([5, 2, 5, 7], {}),  # in mid-epoch; twice behind the same checkpoint
        ([9, 5], {"save_every": 4}),  # checkpoints behind an epoch's last step
        ([11, 7], {"accumulate_grad_batches": 3, "save_every": 1, "val_check_interval": 0.5}),
        ([6, 12], {"workers": 2, "save_every": 1}),  # persistent ones
        ([6, 12], {"ranks": 2, "save_every": 1}),
        (
            [11, 5],
            {"ranks": 2, "save_every": 2, "accumulate_grad_batches": 2, "rate": 0.8},
        ),  # 13 samples: 4 + 4 + 4 + 1
    ],
    ids=["plain", "at an epoch's end", "accumulation", "workers", "two processes", "two, uneven, accumulating"],
)
def test_killed_and_resumed(kills: list[int], settings: dict[str, Any], server: Server, tmp_path: Path) -> None:
    whole = run(server, tmp_path / "whole", [], **settings)
    assert run(server, tmp_path / "killed", kills, **settings) == whole
    for rank in range(settings.get("ranks", 1)):
        assert ended(tmp_path / "killed", rank) == ended(tmp_path / "whole", rank)
    end = ended(tmp_path / "whole")
    assert (end["steps"], end["epochs"]) == (end["total"], 4)


def test_two_processes_train_what_one_trains(server: Server, tmp_path: Path) -> None:
    """The pruner is built before there are processes, and Lightning's distributed sampler is left at its default."""
    (alone,), both = run(server, tmp_path / "alone", []), run(server, tmp_path / "both", [], ranks=2)
    batches = [
        {"epoch": first["epoch"], "ids": first["ids"] + second["ids"]} for first, second in zip(*both, strict=True)
    ]
    assert batches == alone
    assert {len(row["ids"]) for row in both[0]} == {BATCH // 2}
    ends = [ended(tmp_path / "both", rank) for rank in range(2)]
    assert ends[0] == ends[1]
    one = ended(tmp_path / "alone")
    assert ends[0]["weights"] == pytest.approx(one["weights"], rel=1e-4, abs=1e-6)
    assert ends[0]["loss"] == pytest.approx(one["loss"], rel=1e-4)
    for name in ("count", "steps", "total"):
        assert ends[0][name] == one[name]
    assert sum(one["count"]) == sum(PRUNED.values())
    assert len(one["count"]) == N
