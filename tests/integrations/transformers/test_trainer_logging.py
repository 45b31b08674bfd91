"""What a pruner counts reaches TensorBoard and Weights & Biases through the Trainer; nothing here needs a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from trainer_runs import Rows, arguments, new_model, new_pruner

from emprune.integrations.transformers import PrunedTrainer

NAMES = ("emprune/kept", "emprune/realised_rate", "emprune/loss_q50", "emprune/memory_ess")
KEPT = [13, 13, 13, 26]


def trained(folder: Path, **changed: Any) -> PrunedTrainer:
    trainer = PrunedTrainer(
        new_model(), arguments(folder, **changed), train_dataset=Rows(), pruner=new_pruner(policy="emp")
    )
    trainer.train()
    return trainer


def test_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    trainer = trained(tmp_path, report_to="tensorboard")
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert [event.value for event in events.Scalars("train/emprune/kept")] == KEPT
    assert [event.step for event in events.Scalars("train/emprune/kept")] == [4, 8, 12, 19]
    last = trainer.pruner.metrics()
    for name in NAMES:
        assert events.Scalars(f"train/{name}")[-1].value == pytest.approx(last[name])


def test_weights_and_biases_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    for name, value in (("WANDB_MODE", "offline"), ("WANDB_DIR", str(tmp_path)), ("WANDB_SILENT", "true")):
        monkeypatch.setenv(name, value)
    wandb.teardown()  # what another test has set up, by another environment
    trainer = trained(tmp_path, report_to="wandb")
    summary = {name: wandb.run.summary[f"train/{name}"] for name in NAMES}
    wandb.finish()
    last = trainer.pruner.metrics()
    assert summary == pytest.approx({name: last[name] for name in NAMES})
    assert list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))


def test_without_a_logger_nothing_more_is_logged(tmp_path: Path) -> None:
    trainer = trained(tmp_path)
    assert "emprune/" not in json.dumps(trainer.state.log_history)
