"""Real gloo processes under FSDP, in a part of the world, and killed and resumed, against one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from groups_at_work import GLOBAL, KILLED_AFTER, SAVED_AT, data, known_steps, new_model, new_pruner

from emprune.scoring import classification

Row = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the ranks of all scenarios have written down their steps."""
    out = tmp_path_factory.mktemp("groups")
    command = [sys.executable, str(Path(__file__).parents[1] / "helpers" / "groups_at_work.py"), str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return out


def rows_of(folder: Path, name: str, rank: int) -> list[Row]:
    """A rank's steps; a line that the kill cut is left out."""
    lines = (folder / f"{name}-{rank}").read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def together(ranks: list[list[Row]]) -> list[Row]:
    """The global batches: each step's rows of all ranks as one."""

    def joined(rows: tuple[Row, ...]) -> Row:
        lists = {
            key: list(chain(*(row[key] for row in rows))) for key, value in rows[0].items() if isinstance(value, list)
        }
        return {**rows[0], **lists}

    return [joined(rows) for rows in zip(*ranks, strict=True)]


def without_repeats(row: Row, expected: Row) -> Row:
    """The row as long as the expected one: what fills up a last global batch stands at its end."""
    size = len(expected["ids"])
    return {key: value[:size] if isinstance(value, list) else value for key, value in row.items()}


def test_under_fsdp_losses_land_on_their_rows_and_the_plans_are_those_of_one_process(folder: Path) -> None:
    """One process trains a plain model on the same global batches; its pruner is given the ranks' very losses."""
    ranks = [rows_of(folder, "fsdp", rank) for rank in (0, 1)]
    ends = [rank.pop() for rank in ranks]
    batches = iter(together(ranks))
    model, pruner, (inputs, labels) = new_model(), new_pruner(), data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for _ in pruner.epochs():
        plan = pruner.plan
        for begin in range(0, len(plan), GLOBAL):
            row = next(batches)
            assert row["plan"] == plan.digest
            here = len(plan.ids[begin : begin + GLOBAL])
            assert row["ids"][:here] == plan.ids[begin : begin + GLOBAL].tolist()
            ids = torch.tensor(row["ids"])
            scores = classification(model(inputs[ids]), labels[ids])
            (scores.loss * torch.from_numpy(plan.weight_of[ids])).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            for found, expected in ((row["loss"], scores.loss), (row["memory"], scores.memory)):
                np.testing.assert_allclose(found, expected.detach(), rtol=1e-4, atol=1e-6)
            pruner.loss(ids[:here], torch.tensor(row["loss"][:here]), torch.tensor(row["memory"][:here]))
    assert next(batches, None) is None
    for end in ends:
        for name, column in pruner.table.state_dict().items():
            np.testing.assert_array_equal(end["table"][name], column, err_msg=name)
    whole = sum(parameter.numel() for parameter in model.parameters())
    assert max(end["local"] for end in ends) < whole == sum(end["local"] for end in ends)


@pytest.mark.parametrize("group", [0, 1])
def test_each_part_of_a_world_trains_a_run_of_its_own(folder: Path, group: int) -> None:
    found = together([rows_of(folder, "parts", 2 * group + rank) for rank in (0, 1)])
    alone = new_pruner(seed=group)
    expected = [{**row, "plan": alone.plan.digest} for row in known_steps(alone)]
    assert [without_repeats(*rows) for rows in zip(found, expected, strict=True)] == expected


@pytest.mark.parametrize("world", [1, 2])
def test_killed_ranks_go_on_from_the_disk_with_the_very_ids_and_weights(folder: Path, world: int) -> None:
    expected = list(known_steps(new_pruner()))
    for rank in (0, 1):
        before = rows_of(folder, "saved", rank)
        assert KILLED_AFTER < len(before) < len(expected)
    found = together([rows_of(folder, f"resumed by {world}", rank) for rank in range(world)])
    left = expected[SAVED_AT + 1 :]
    assert left[0]["epoch"] == expected[SAVED_AT]["epoch"] == 1  # in mid-epoch, after scores have moved
    assert len({weight for row in left for weight in row["weights"]}) > 1
    assert [without_repeats(*rows) for rows in zip(found, left, strict=True)] == left
