"""A Trainer's run made of a pruner's epochs: updates, logs, learning rates, and epochs that are cut short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from trainer_runs import N, new_pruner, new_trainer, weights_of
from transformers import TrainerCallback
from transformers.trainer_jit_checkpoint import JITCheckpointCallback

from emprune import Policy, Request, Selection, selection

PLAIN = {"model": {"dropout": 0.0}, "optim": "sgd", "max_grad_norm": 0.0, "learning_rate": 0.05}


@pytest.mark.parametrize(("accumulation", "drop_last"), [(1, False), (3, False), (3, True)])
def test_updates_and_schedule_are_exact(accumulation: int, drop_last: bool, tmp_path: Path) -> None:
    trainer = new_trainer(
        tmp_path, gradient_accumulation_steps=accumulation, dataloader_drop_last=drop_last, logging_strategy="steps",
        logging_steps=1, warmup_steps=0.5,
    )  # fmt: skip
    trainer.train()
    updates = 0
    for kept in (13, 13, 13, 26):
        batches = kept // 4 if drop_last else -(-kept // 4)
        updates += -(-batches // accumulation)
    warmup = -(-updates // 2)
    rates = [2e-3 * min(step / warmup, (updates - step) / (updates - warmup)) for step in range(updates)]
    assert trainer.state.max_steps == trainer.state.global_step == updates
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["learning_rate"] for entry in logs] == pytest.approx(rates)
    assert set(trainer.lr_scheduler.get_last_lr()) == {0.0}
    assert trainer.state.epoch == 4
    assert trainer.pruner.epoch == 4


def test_logs_hold_kept_samples_and_realised_rate(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, logging_strategy="epoch")
    metrics = trainer.train().metrics
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["samples_kept"] for entry in logs] == [13, 13, 13, 26]
    assert [entry["realised_rate"] for entry in logs] == [0.5, 0.5, 0.5, 0.375]
    assert metrics["realised_rate"] == 0.375
    assert trainer.pruner.report().samples_backward == 65


class Probe(TrainerCallback):
    """Notes the learning rate of each step, and stops where asked."""

    def __init__(self, stop: tuple[int, str] | None = None) -> None:
        self.rates: list[float] = []
        self.stop = stop

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, optimizer: Any, **kwargs: Any) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.stop and state.global_step == self.stop[0]:
            setattr(control, self.stop[1], True)


class Slower(Policy):
    """The highest losses; asks for the others' losses, and for a lower learning rate where samples are left out."""

    name = "slower"
    observes_pruned = True

    def select(self, request: Request) -> Selection:
        return selection.top(request.table.rank(request.table.loss, "first"), request.k, request.rng())

    def learning_rate_factor(self, kept: int, num_samples: int) -> float:
        return kept / num_samples


def test_hidden_samples_and_learning_rate_of_a_policy_that_asks_for_both(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, pruner=new_pruner(policy=Slower()), lr_scheduler_type="constant", **PLAIN)
    probe, ends = Probe(), []
    trainer.add_callback(probe)
    end_epoch = trainer.pruner.end_epoch

    def check_and_end(*, partial: bool) -> None:
        trainer.pruner.report()
        ends.append(trainer.pruner.table.last_seen.tolist())
        end_epoch(partial=partial)

    trainer.pruner.end_epoch = check_and_end  # type: ignore[method-assign]
    trainer.train()
    assert ends == [[epoch] * N for epoch in range(4)]
    assert trainer.pruner.report().samples_backward == 65
    assert trainer.model.training
    assert probe.rates == pytest.approx([0.025] * 4 * 3 + [0.05] * 7)
    assert trainer.optimizer.param_groups[0]["lr"] == 0.05


def test_training_that_stops_in_mid_epoch_leaves_the_epoch_unfinished(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path)
    trainer.add_callback(Probe(stop=(6, "should_training_stop")))
    trainer.train()
    assert (trainer.pruner.epoch, trainer.pruner.report().steps) == (1, 6)


def test_an_epoch_that_is_cut_short_is_over(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path)
    trainer.add_callback(Probe(stop=(6, "should_epoch_stop")))
    trainer.train()
    assert trainer.pruner.epoch == 4
    assert trainer.pruner.report().steps == trainer.state.global_step == 4 + 2 + 4 + 7


class AskedInForward(TrainerCallback):
    """Asks for a checkpoint as SIGTERM does, while a batch of the third update is in the model."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 2:
            [own] = [
                each for each in self.trainer.callback_handler.callbacks if isinstance(each, JITCheckpointCallback)
            ]
            own.jit_manager.is_checkpoint_requested = True


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_checkpoint_asked_for_in_the_middle_of_an_update_waits_for_its_end(accumulation: int, tmp_path: Path) -> None:
    """Else the pruner would count the update's samples as trained, and the weights would not have them."""
    settings = {"gradient_accumulation_steps": accumulation, "size": 32, **PLAIN}
    whole = new_trainer(tmp_path / "whole", pruner=new_pruner(32, "emp"), **settings)
    whole.train()
    stopped, resumed = (
        new_trainer(tmp_path / "stopped", pruner=new_pruner(32, "emp"), enable_jit_checkpoint=True, **settings)
        for _ in range(2)
    )
    stopped.add_callback(AskedInForward(stopped))
    stopped.train()
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == resumed.state.max_steps == whole.state.global_step
    torch.testing.assert_close(weights_of(resumed.model), weights_of(whole.model))
    assert resumed.pruner.report().samples_backward == whole.pruner.report().samples_backward
