"""A small module, data that says which row it is, and Lightning trainers; for the tests beside this file.

As a script it is the server of kill_run.py, whose task "lightning" trains in a folder, on one rank or on two.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kill_run
import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, Dataset

from emprune import Pruner
from emprune.integrations.lightning import Pruning
from emprune.scoring import classification

N, EPOCHS, BATCH, CLASSES = 64, 4, 4, 3
QUIET: dict[str, Any] = {
    "accelerator": "cpu", "devices": 1, "logger": False, "enable_progress_bar": False, "enable_model_summary": False,
    "enable_checkpointing": False, "max_epochs": EPOCHS,
}  # fmt: skip


class Rows(Dataset):
    """Row i is (features, label); features[0] is i."""

    def __init__(self, size: int = N) -> None:
        draw = torch.Generator().manual_seed(3)
        self.features = torch.randn(size, 5, generator=draw)
        self.features[:, 0] = torch.arange(size)
        self.labels = torch.randint(0, CLASSES, (size,), generator=draw)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.features[row], self.labels[row]


class Module(L.LightningModule):
    """Notes each training batch in ``trained``: epoch and ids; ``tell`` hears of each before it is trained."""

    def __init__(self, workers: int = 0, batch_size: int = BATCH) -> None:
        super().__init__()
        self.workers, self.batch_size = workers, batch_size
        self.trained: list[tuple[int, list[int]]] = []
        self.validated: list[int] = []
        self.learning_rate = 0.05
        self.total = 0.0
        self.tell: Callable[[dict[str, Any]], None] = lambda row: None
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, CLASSES))

    def train_dataloader(self) -> Any:
        return DataLoader(
            Rows(), self.batch_size, shuffle=True, num_workers=self.workers, persistent_workers=self.workers > 0
        )

    def val_dataloader(self) -> Any:
        return DataLoader(Rows(), N)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        ids, (features, labels) = batch
        assert features[:, 0].tolist() == ids.tolist()
        self.tell({"epoch": self.current_epoch, "ids": ids.tolist()})
        self.trained.append((self.current_epoch, ids.tolist()))
        return self.pruner.loss(ids, *classification(self.net(features[:, 1:]), labels))

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        features, labels = batch
        self.validated.append(len(self.trained))
        self.log("loss", torch.nn.functional.cross_entropy(self.net(features[:, 1:]), labels), sync_dist=True)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), self.learning_rate, momentum=0.9)
        self.total = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=int(self.total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def new_pruner(**changed: Any) -> Pruner:
    """16 samples an epoch of 64, the last one all of them: in batches of 4 that is 4 + 4 + 4 + 16."""
    return Pruner(N, "emp", **{"prune_rate": 0.75, "num_epochs": EPOCHS, "anneal": 0.25, "seed": 2, **changed})


def new_trainer(*callbacks: Any, pruner: Pruner | None = None, **changed: Any) -> L.Trainer:
    return L.Trainer(callbacks=[Pruning(pruner or new_pruner()), *callbacks], **{**QUIET, **changed})


def pruner_of(trainer: L.Trainer) -> Pruner:
    return next(callback.pruner for callback in trainer.callbacks if isinstance(callback, Pruning))


def weights_of(module: Any) -> list[float]:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()]).tolist()


def lengths(module: Module) -> dict[int, int]:
    """Samples trained in each epoch."""
    found: dict[int, int] = {}
    for epoch, ids in module.trained:
        found[epoch] = found.get(epoch, 0) + len(ids)
    return found


def train(
    folder: str, tell: Callable[[], None], *, session: int = 0, resume: str | None = None, stop: int | None = None,
    ranks: int = 1, workers: int = 0, save_every: int = 3, rate: float = 0.75, **changed: Any,
) -> None:  # fmt: skip
    """The server's task: train in ``folder``, log each batch there, and the weights at the end.

    Args:
        resume: a checkpoint.
        stop: how many batches to train before all ranks are killed.
        ranks: processes, each with its part of batches of 4.
    """
    rank = kill_run.forked(ranks)
    module, passes = Module(workers, BATCH // ranks), 0
    saving = ModelCheckpoint(f"{folder}/out", every_n_train_steps=save_every, save_top_k=-1, filename="{step}")
    options = {"devices": ranks, "strategy": "ddp" if ranks > 1 else "auto", "enable_checkpointing": True, **changed}
    trainer = new_trainer(saving, pruner=new_pruner(prune_rate=rate), **options)
    with (Path(folder) / f"log-{session}-{rank}").open("w") as log:

        def write(row: dict[str, Any]) -> None:
            nonlocal passes
            if passes == stop:
                os.killpg(0, signal.SIGKILL)
            passes += 1
            log.write(json.dumps(row) + "\n")
            log.flush()
            tell()

        module.tell = write
        trainer.fit(module, ckpt_path=resume)
    table = pruner_of(trainer).table
    found = {"weights": weights_of(module), "loss": table.loss.tolist(), "count": table.times_trained.tolist()}
    found |= {"steps": trainer.global_step, "total": module.total, "epochs": trainer.current_epoch}
    (Path(folder) / f"end-{rank}").write_text(json.dumps(found))
    if rank:
        os._exit(0)


class Server(kill_run.Server):
    script, warnings, stderr = __file__, "ignore", subprocess.DEVNULL


if __name__ == "__main__":
    kill_run.TASKS.update({"lightning": train})
    kill_run.serve()
