"""A Trainer, and a loop with accelerate, killed again and again train as if they were not: samples, order, weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from kill_run import logged
from trainer_runs import Rows, Server, new_pruner, new_trainer, weights_of

from emprune import StateError
from emprune.integrations.transformers.trainer import STATE_FILE

SETTINGS: dict[str, Any] = {"gradient_accumulation_steps": 2, "lr_scheduler_type": "cosine"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def whole(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert server.run(folder, "trainer", **SETTINGS)[1] == 0
    return folder


def last_checkpoint(folder: Path) -> Path | None:
    """The newest one that is whole: what a Trainer writes last is there and can be read."""
    found = sorted((folder / "out").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)
    for path in found:
        try:
            json.loads((path / "trainer_state.json").read_text())
            return path
        except (OSError, ValueError):
            continue
    return None


def step_of(checkpoint: Path | None) -> int:
    return int(checkpoint.name.split("-")[1]) if checkpoint else 0


# In steps: an epoch has 2 updates of 4 forward passes, the last one 4 of 7; a checkpoint after each third or second.
@pytest.mark.parametrize(
    ("kills", "settings"),
    [
        ([7, 2, 3, 5], {}),  # in mid-epoch; twice behind the same checkpoint
        ([5, 4], {"save_steps": 2}),  # behind an epoch's last step
        ([9], {"dataloader_num_workers": 2, "save_steps": 1}),
    ],
)
def test_killed_and_resumed(
    kills: list[int], settings: dict[str, Any], server: Server, whole: Path, tmp_path: Path
) -> None:
    done: list[dict[str, Any]] = []
    for session, stop in enumerate([*kills, None]):
        checkpoint = last_checkpoint(tmp_path)
        done = [row for row in done if row["step"] < step_of(checkpoint)]
        _, code = server.run(
            tmp_path, "trainer", session=session, stop=stop, resume=checkpoint and str(checkpoint),
            **{**SETTINGS, **settings},
        )  # fmt: skip
        assert code == (0 if stop is None else -9)
        done += logged(tmp_path, session)
    assert done == logged(whole, 0)
    assert (tmp_path / "weights").read_text() == (whole / "weights").read_text()


def test_killed_from_outside_at_any_moment(server: Server, whole: Path, tmp_path: Path) -> None:
    _, code = server.run(tmp_path, "trainer", after=8, delay=0.01, **SETTINGS)
    assert code == -9
    checkpoint = last_checkpoint(tmp_path)
    assert server.run(tmp_path, "trainer", session=1, resume=checkpoint and str(checkpoint), **SETTINGS)[1] == 0
    before = [row for row in logged(tmp_path, 0) if row["step"] < step_of(checkpoint)]
    assert before + logged(tmp_path, 1) == logged(whole, 0)


@pytest.mark.parametrize(("ranks", "kills"), [(1, [24]), (2, [24, 3])])
def test_a_loop_with_accelerate(ranks: int, kills: list[int], server: Server, tmp_path: Path) -> None:
    """Look-ahead, accumulation, epochs that end within one; killed in mid-epoch, twice behind the same checkpoint."""
    for folder, stops in (("whole", []), ("killed", kills)):
        (tmp_path / folder).mkdir()
        for stop in [*stops, None]:
            _, code = server.run(tmp_path / folder, "loop", ranks=ranks, stop=stop)
            assert code == (0 if stop is None else -9)
    whole, killed = ((tmp_path / folder / "printed-0").read_text() for folder in ("whole", "killed"))
    assert killed == whole
    assert "learning rate 0.000000" in whole


def test_scores_of_an_uninterrupted_run(tmp_path: Path) -> None:
    """In one process: a checkpoint in mid-epoch of epoch 1, taken up by another trainer."""
    settings = {"save_strategy": "steps", "save_steps": 6, "logging_strategy": "steps", "logging_steps": 1}
    first = new_trainer(tmp_path, **settings)
    first.train()
    second, rows = new_trainer(tmp_path, **settings), []
    second.tell = rows.append
    second.train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    assert (rows[0]["epoch"], len(rows)) == (1, first.state.global_step - 6)
    for name in ("loss", "memory", "last_seen", "times_trained"):
        assert getattr(second.pruner.table, name).tolist() == getattr(first.pruner.table, name).tolist()
    assert torch.equal(weights_of(second.model), weights_of(first.model))
    logs = [[(log["step"], round(log["epoch"], 9)) for log in run.state.log_history] for run in (first, second)]
    assert logs[0] == logs[1]
    losses = first.pruner.table.loss.tolist()
    first.train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    assert first.pruner.table.loss.tolist() == losses


def test_a_run_that_is_over_stays_so(tmp_path: Path) -> None:
    first = new_trainer(tmp_path, save_strategy="epoch")
    first.train()
    again = new_trainer(tmp_path, save_strategy="epoch")
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == first.state.global_step == 19
    assert torch.equal(weights_of(again.model), weights_of(first.model))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"gradient_accumulation_steps": 2, "allow": ()}, "batch_size is 8 here, but the state was saved with 4"),
        ({"pruner": new_pruner(seed=9)}, "seed is 9 here, but the state was saved with 2"),
        ({"pruner": new_pruner(prune_rate=0.25)}, "prune_rate is 0.25 here, but the state was saved with 0.5"),
    ],
)
def test_another_run_cannot_go_on(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    new_trainer(tmp_path, save_strategy="steps", save_steps=19).train()
    with pytest.raises(StateError, match=message):
        new_trainer(tmp_path, **changed).train(resume_from_checkpoint=True)


def test_a_checkpoint_made_without_pruning(tmp_path: Path) -> None:
    new_trainer(tmp_path, save_strategy="steps", save_steps=19).train()
    (tmp_path / "checkpoint-19" / STATE_FILE).unlink()
    with pytest.raises(StateError, match=f"checkpoint-19/{STATE_FILE} does not exist"):
        new_trainer(tmp_path).train(resume_from_checkpoint=True)


def test_rows_that_have_changed(tmp_path: Path) -> None:
    rows = Rows()
    columns = {"input_ids": rows.tokens.tolist(), "labels": rows.labels.tolist(), "text": ["unused"] * len(rows)}

    def trainer(order: list[int]) -> Any:
        made = new_trainer(tmp_path, save_strategy="steps", save_steps=19)
        made.train_dataset = datasets.Dataset.from_dict(
            {name: [column[row] for row in order] for name, column in columns.items()}
        )
        return made

    trainer(list(range(26))).train()
    with pytest.raises(StateError, match="dataset_fingerprint is"):
        trainer([1, 0, *range(2, 26)]).train(resume_from_checkpoint=True)
