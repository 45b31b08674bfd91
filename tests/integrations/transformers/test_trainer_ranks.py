"""A Trainer on two processes under torchrun: each trains its part, and together they are one of twice the batch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kill_run import environment
from trainer_ranks import UNEVEN, trained

HERE = Path(__file__).parents[2] / "helpers"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def ranks(folder: Path) -> list[dict[str, Any]]:
    """What each of two ranks found."""
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            str(HERE / "trainer_ranks.py"), str(folder),
        ],
        env=environment(), timeout=300, capture_output=True, text=True,
    )  # fmt: skip
    files = [folder / f"rank-{rank}.json" for rank in range(2)]
    assert all(file.exists() for file in files), done.stderr  # gloo's threads have aborted at exit now and then
    return [json.loads(file.read_text()) for file in files]


def global_batches(ranks: list[dict[str, Any]], run: str) -> list[list[int]]:
    both = [rank[run]["steps"] for rank in ranks]
    return [first["ids"] + second["ids"] for first, second in zip(*both, strict=True)]


def test_two_ranks_train_what_one_trains(ranks: list[dict[str, Any]], tmp_path: Path) -> None:
    alone = trained(tmp_path, 32, per_device_train_batch_size=8)
    assert global_batches(ranks, "even") == [step["ids"] for step in alone["steps"]]
    for rank in ranks:
        assert rank["even"]["updates"] == alone["updates"] == [3 + 2, 3 + 2]
        assert rank["even"]["weights"] == pytest.approx(alone["weights"], rel=1e-3, abs=1e-5)
        assert rank["even"]["loss"] == pytest.approx(alone["loss"], rel=1e-3)
        assert rank["even"]["count"] == alone["count"]
    assert ranks[0]["even"]["weights"] == ranks[1]["even"]["weights"]


@pytest.mark.parametrize("run", ["even", "uneven"])
def test_every_score_lands_on_its_row(run: str, ranks: list[dict[str, Any]]) -> None:
    expected: dict[int, float] = {}
    epochs = [step["epoch"] for step in ranks[0][run]["steps"]]
    reported: set[tuple[int, int]] = set()
    both = sorted((step, rank, i) for rank in (0, 1) for i, (step, _, _) in enumerate(ranks[rank][run]["forwards"]))
    for step, rank, place in both:
        _, row, loss = ranks[rank][run]["forwards"][place]
        if (epochs[step], row) not in reported:  # a row that fills up a last batch is scored once
            reported.add((epochs[step], row))
            expected[row] = loss
    for rank in ranks:
        table = rank[run]
        assert {row: table["loss"][row] for row in expected} == pytest.approx(expected, rel=1e-5)
        assert sum(table["count"]) == len(reported) == (80 if run == "even" else 65)


def test_as_many_batches_on_each_rank_and_exact_updates(ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        assert len(rank["uneven"]["steps"]) == 3 * 2 + 4  # of 13 rows 8 and 5, of 26 three times 8 and 2
        assert rank["uneven"]["updates"] == [10, 10]
        assert rank["uneven"]["logs"] == [0.375]
    for run in ("even", "uneven"):
        for batch in global_batches(ranks, run):
            assert len(set(batch)) >= len(batch) - 1


def test_resumed_in_mid_epoch(ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        assert rank["resumed"]["steps"] == rank["uneven"]["steps"][3:]
        assert rank["resumed"]["weights"] == rank["uneven"]["weights"]
        assert rank["resumed"]["loss"] == rank["uneven"]["loss"]


def test_resumed_on_one_rank(ranks: list[dict[str, Any]], folder: Path, tmp_path: Path) -> None:
    checkpoint = folder / "uneven" / "checkpoint-3"
    alone = trained(tmp_path, 26, str(checkpoint), **UNEVEN, per_device_train_batch_size=8)
    assert len(alone["steps"]) == 10 - 3
    assert alone["steps"][0]["epoch"] == 1
    assert len(alone["steps"][0]["ids"]) == 5
    whole = set(global_batches(ranks, "uneven")[3])
    assert set(alone["steps"][0]["ids"]) < whole  # where a sixth row fills up the last rank
    assert len(whole) == 6
