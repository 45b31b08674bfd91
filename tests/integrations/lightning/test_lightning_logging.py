"""What a pruner counts reaches the trainer's loggers at the end of each epoch; nothing here needs a network."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning_runs import EPOCHS, Module, new_trainer, pruner_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # Lightning's advice on workers, folders, callbacks
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # what Lightning itself calls
]
KEPT, LAST_UPDATES = [16, 16, 16, 64], [3, 7, 11, 27]


def fitted(logger: Any, **changed: Any) -> dict[str, float]:
    """Metrics of the pruner when training is over."""
    trainer = new_trainer(logger=logger, **changed)
    trainer.fit(Module())
    return pruner_of(trainer).metrics()


def rows_of(folder: Path) -> list[dict[str, str]]:
    """What CSVLogger has written of the pruner."""
    with (folder / "metrics.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["emprune/kept"]]


def test_csv(tmp_path: Path) -> None:
    last = fitted(CSVLogger(tmp_path, name="", version=""))
    rows = rows_of(tmp_path)
    assert [float(row["emprune/kept"]) for row in rows] == KEPT
    assert [int(row["step"]) for row in rows] == LAST_UPDATES
    assert [int(row["epoch"]) for row in rows] == list(range(EPOCHS))
    assert {name: float(rows[-1][name]) for name in last} == pytest.approx(last)


def test_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    last = fitted(TensorBoardLogger(tmp_path, name="", version=""), accumulate_grad_batches=3)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.value for event in events.Scalars("emprune/kept")] == KEPT
    assert [event.step for event in events.Scalars("emprune/kept")] == [1, 3, 5, 11]
    assert {name: events.Scalars(name)[-1].value for name in last} == pytest.approx(last)


def test_weights_and_biases_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    for name, value in (("WANDB_MODE", "offline"), ("WANDB_DIR", str(tmp_path)), ("WANDB_SILENT", "true")):
        monkeypatch.setenv(name, value)
    wandb.teardown()  # what another test has set up, by another environment
    last = fitted(WandbLogger(save_dir=tmp_path, offline=True))
    summary = {name: wandb.run.summary[name] for name in [*last, "trainer/global_step", "epoch"]}
    wandb.finish()
    assert summary == pytest.approx({**last, "trainer/global_step": LAST_UPDATES[-1], "epoch": EPOCHS - 1})
    assert list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))


def test_every_logger_gets_them(tmp_path: Path) -> None:
    loggers = [CSVLogger(tmp_path, name=name, version="") for name in ("first", "second")]
    fitted(loggers)
    assert rows_of(tmp_path / "first") == rows_of(tmp_path / "second") != []


def test_a_resumed_run_logs_what_is_left(tmp_path: Path) -> None:
    """Of the interrupted epoch and those after it, with the numbers of an uninterrupted run."""
    saving = ModelCheckpoint(tmp_path, every_n_train_steps=6, save_top_k=-1, filename="{step}")
    logger = CSVLogger(tmp_path, name="whole", version="")
    new_trainer(saving, logger=logger, enable_checkpointing=True).fit(Module())
    resumed = CSVLogger(tmp_path, name="resumed", version="")
    new_trainer(logger=resumed).fit(Module(), ckpt_path=tmp_path / "step=6.ckpt")
    whole, rest = rows_of(tmp_path / "whole"), rows_of(tmp_path / "resumed")
    for row in whole + rest:
        del row["emprune/seconds_selecting"]
    assert [row["epoch"] for row in rest] == ["1", "2", "3"]
    assert rest == whole[1:]


@pytest.mark.parametrize("how", ["as it is", "fast_dev_run", "another rank"])
def test_where_nothing_is_logged(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a quick look, and on all ranks but the first."""
    logged: list[str] = []
    monkeypatch.setattr(DummyLogger, "log_metrics", lambda self, metrics, step: logged.extend(metrics))
    if how == "another rank":
        monkeypatch.setattr(L.Trainer, "is_global_zero", False)
    fitted(DummyLogger(), fast_dev_run=how == "fast_dev_run")
    assert ("emprune/kept" in logged) == (how == "as it is")
