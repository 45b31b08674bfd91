"""Two and four gloo processes with a part of the table each, killed for real: they train what one would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import loss_of, memory_of
from partitions_at_work import EPOCHS, GLOBAL, N
from test_ranks_train_alike import free_port

from emprune import Pruner
from emprune.distributed.partition import rank_positions

SCRIPT = Path(__file__).parents[1] / "helpers" / "partitions_at_work.py"


def start(world: int, folder: Path, pause: float = 0.0) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(world), str(folder), str(free_port()), str(pause)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


def lines(folder: Path, rank: int) -> list[dict]:
    path = folder / f"log-{rank}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def of_one_process(world: int) -> tuple[list[list[tuple[int, list[int]]]], np.ndarray, int]:
    """Each rank's (epoch, ids) a step, and the table at the end, from a pruner that holds all."""
    pruner = Pruner(N, "emp", prune_rate=0.6, num_epochs=EPOCHS, seed=5)
    size, steps = GLOBAL // world, [[] for _ in range(world)]
    for epoch in pruner.epochs():
        plan = pruner.plan.ids
        for rank in range(world):
            part = plan[rank_positions(0, len(plan), size, world, rank).positions].tolist()
            steps[rank] += [(epoch, part[begin : begin + size]) for begin in range(0, len(part), size)]
        ids = torch.from_numpy(plan.copy())
        pruner.loss(ids, loss_of(ids, epoch), memory_of(ids, epoch))
    return steps, pruner.table.loss, pruner.report().samples_backward


@pytest.mark.parametrize(("world", "kills"), [(4, 0), (2, 3)])
def test_processes_train_what_one_with_all_scores_would(world: int, kills: int, tmp_path: Path) -> None:
    for kill in range(kills):
        process = start(world, tmp_path, pause=0.02)
        deadline, goal = time.monotonic() + 120, 4 + 7 * kill
        while max((line["step"] for line in lines(tmp_path, 0)), default=-1) < goal and time.monotonic() < deadline:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    process = start(world, tmp_path)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    expected, loss, backward = of_one_process(world)
    ends = [json.loads((tmp_path / f"end-{rank}.json").read_text()) for rank in range(world)]
    assert np.array_equal(np.concatenate([end["loss"] for end in ends]).astype(np.float32), loss)
    assert [end["backward"] for end in ends] == [backward] * world
    assert max(end["rows"] for end in ends) <= N // world + 1
    for rank in range(world):
        logged = lines(tmp_path, rank)
        done = {line["step"]: (line["epoch"], line["ids"]) for line in logged}
        assert [done[step] for step in sorted(done)] == expected[rank]
        # Steps done again after a kill are the same ones.
        assert all((line["epoch"], line["ids"]) == done[line["step"]] for line in logged)
        assert (len(logged) > len(expected[rank])) <= bool(kills)
