"""A Trainer's run that goes on longer, on more data or in other batches: exact counts, steps and learning rates."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest
from trainer_runs import N, Rows, Watched, arguments, new_model, new_pruner, new_trainer
from transformers import TrainerCallback

from emprune import ArgumentError, StateError

RATE = 2e-3


class Rates(TrainerCallback):
    """Notes the learning rate of each update."""

    def __init__(self) -> None:
        self.found: dict[int, float] = {}

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, optimizer: Any, **kwargs: Any) -> None:
        self.found[state.global_step] = optimizer.param_groups[0]["lr"]


def run(
    folder: Path, epochs: int, resume: int | None = None, **changed: Any
) -> tuple[Any, list[Any], dict[int, float]]:
    """Train; the trainer, what it told of each forward pass, and the learning rate of each update."""
    settings = {"num_train_epochs": epochs, "save_strategy": "epoch", **changed}
    size = settings.get("size", N)
    trainer = new_trainer(folder, pruner=new_pruner(size, num_epochs=epochs), **settings)
    rows, rates = [], Rates()
    trainer.tell = rows.append
    trainer.add_callback(rates)
    trainer.train(resume_from_checkpoint=resume and str(folder / f"checkpoint-{resume}"))
    return trainer, rows, rates.found


def per_epoch(rows: list[dict[str, Any]]) -> dict[int, int]:
    counts: Counter[int] = Counter()
    for row in rows:
        counts[row["epoch"]] += len(row["ids"])
    return dict(counts)


def ids_of(rows: list[dict[str, Any]], epoch: int) -> list[int]:
    return [i for row in rows if row["epoch"] == epoch for i in row["ids"]]


def linear(total: int, begin: int) -> dict[int, float]:
    return {step: pytest.approx(RATE * (total - step) / total) for step in range(begin, total)}


def test_a_finished_run_is_extended_twice(tmp_path: Path) -> None:
    first, _, rates = run(tmp_path, 4)
    assert first.state.global_step == 4 * 3 + 7 == 19
    assert rates == linear(19, 0)
    second, rows, rates = run(tmp_path, 6, 19)
    # Epoch 3, annealed at the first end, stays full; the schedule is that of the longer run, at update 19 of it.
    assert second.pruner.kept == (13, 13, 13, 26, 26, 26)
    assert per_epoch(rows) == {4: 26, 5: 26}
    assert second.state.global_step == second.state.max_steps == 19 + 2 * 7 == 33
    assert rates == linear(33, 19)
    assert second.state.epoch == 6
    third, rows, rates = run(tmp_path, 10, 33)
    assert per_epoch(rows) == {6: 13, 7: 26, 8: 26, 9: 26}
    assert third.state.global_step == third.state.max_steps == 33 + 4 + 3 * 7
    assert rates == linear(third.state.max_steps, 33)
    assert third.pruner.report().samples_backward == sum(third.pruner.kept) == 4 * 13 + 6 * 26
    assert third.pruner.report().realised_rate == pytest.approx(1 - sum(third.pruner.kept) / (26 * 10))


def test_extended_in_mid_epoch(tmp_path: Path) -> None:
    _, told, _ = run(tmp_path, 4, save_strategy="steps", save_steps=6)
    longer, rows, rates = run(tmp_path, 8, 6, save_strategy="no")
    assert rows[:2] == told[6:8]
    assert longer.pruner.kept == (13,) * 6 + (26, 26)
    assert per_epoch(rows) == {1: 13 - 8, 2: 13, 3: 13, 4: 13, 5: 13, 6: 26, 7: 26}
    assert longer.state.global_step == longer.state.max_steps == 6 * 4 + 2 * 7
    assert rates == linear(longer.state.max_steps, 6)


@pytest.mark.parametrize("at", [4, 6])  # an epoch's end, and in mid-epoch
@pytest.mark.parametrize(("batch_size", "accumulation"), [(2, 3), (13, 1)])
def test_another_batch_size_or_accumulation(batch_size: int, accumulation: int, at: int, tmp_path: Path) -> None:
    _, told, _ = run(tmp_path, 4, save_strategy="steps", save_steps=at)
    other, rows, rates = run(
        tmp_path, 4, at, save_strategy="no", per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=accumulation,
    )  # fmt: skip
    left = 13 - 8 if at == 6 else 13
    assert per_epoch(rows) == {1: left, 2: 13, 3: 26}
    assert ids_of(rows, 1) == ids_of(told[at:], 1)
    batches = [math.ceil(count / batch_size) for count in (left, 13, 26)]
    updates = [math.ceil(count / accumulation) for count in batches]
    assert other.state.global_step == other.state.max_steps == at + sum(updates)
    assert rates == linear(other.state.max_steps, at)
    assert other.pruner.report().realised_rate == 0.375


def test_what_differs_is_said_or_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(tmp_path, 4)
    run(tmp_path, 6, 19, per_device_train_batch_size=2)
    assert [record.message for record in caplog.records if record.name.startswith("emprune")] == [
        "the run goes on with batch_size 2; the checkpoint was saved with 4",
        "the run goes on with num_epochs 6; the checkpoint was saved with 4",
    ]
    for changed, message in (
        ({"epochs": 6}, r"num_epochs is 6 here, .* saved with 4.*allow={'num_epochs'}"),
        (
            {"epochs": 4, "per_device_train_batch_size": 2},
            r"batch_size is 2 here, .* saved with 4.*allow={'batch_size'}",
        ),
    ):
        with pytest.raises(StateError, match=message):
            run(tmp_path, resume=19, allow=(), **changed)
    with pytest.raises(ArgumentError, match="allow is 'speed'; allowed: fields among"):
        new_trainer(tmp_path, allow=("speed",))


@pytest.mark.parametrize("at", [8, 9])  # an epoch's end, and in mid-epoch
def test_a_data_set_that_has_grown(at: int, tmp_path: Path) -> None:
    def trainer(size: int, **allow: Any) -> Watched:
        rows = Rows(size=40)
        columns = {"input_ids": rows.tokens.tolist()[:size], "labels": rows.labels.tolist()[:size]}
        args = arguments(tmp_path, save_strategy="steps", save_steps=at)
        return Watched(
            new_model(), args, train_dataset=datasets.Dataset.from_dict(columns), pruner=new_pruner(size), **allow
        )  # fmt: skip

    trainer(26).train()
    checkpoint = str(tmp_path / f"checkpoint-{at}")
    with pytest.raises(StateError, match=r"num_samples is 40 here, .* saved with 26\..*allow={'num_samples'}"):
        trainer(40).train(resume_from_checkpoint=checkpoint)
    grown, rows = trainer(40, allow={"num_samples"}), []
    grown.tell = rows.append
    grown.train(resume_from_checkpoint=checkpoint)
    assert grown.pruner.kept == (13, 13, 20 if at == 8 else 13, 40)
    assert per_epoch(rows) == {2: 20 if at == 8 else 13 - 4, 3: 40}
    assert grown.state.global_step == grown.state.max_steps == at + (5 if at == 8 else 3) + 10
    assert grown.pruner.report().samples_backward == sum(grown.pruner.kept)
    assert not grown.pruner.table.unseen.any()
