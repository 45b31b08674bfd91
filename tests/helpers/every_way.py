"""One small run, trained in every way that there is: a plain loop, accelerate, transformers' Trainer, Lightning.

As a script it is the server of kill_run.py, whose tasks are those ways. Each logs the batches that its ranks train.
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
import torch.distributed as dist
from accelerate import Accelerator
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, Dataset
from transformers import PrinterCallback, TrainingArguments

from emprune import PrunedLoader, Pruner
from emprune.integrations.accelerate import prepare_loader
from emprune.integrations.lightning import Pruning
from emprune.integrations.transformers import PrunedTrainer
from emprune.scoring import classification

N, EPOCHS, GLOBAL_BATCH, CLASSES, SAVE_EVERY = 64, 4, 4, 3, 3
"""16 of 64 samples in an epoch are 4 batches; a checkpoint comes after each third update, in mid-epoch."""


class Rows(Dataset):
    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(3)
        self.features = torch.randn(N, 4, generator=draw)
        self.labels = torch.randint(0, CLASSES, (N,), generator=draw)

    def __len__(self) -> int:
        return N

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {"features": self.features[row], "labels": self.labels[row]}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, CLASSES))

    def forward(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        return {"logits": self.layers(features)}


def new_pruner(anneal: float) -> Pruner:
    return Pruner(N, "emp", prune_rate=0.75, num_epochs=EPOCHS, anneal=anneal, seed=2)


def new_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def scores(outputs: dict[str, torch.Tensor], labels: torch.Tensor) -> Any:
    return classification(outputs["logits"], labels)


def plain(folder: Path, ranks: int, accumulation: int, anneal: float) -> nn.Module:
    """Gradients are averaged by hand."""
    if ranks > 1:
        dist.init_process_group("gloo")
    model, pruner, path = Net(), new_pruner(anneal), folder / "run.state"
    optimizer, updates = new_optimizer(model), 0
    if path.exists():
        state = torch.load(path)
        model.load_state_dict(state["model"]), optimizer.load_state_dict(state["optimizer"])
        pruner.load_state_dict(state["pruner"])
        updates = state["updates"]
    loader = PrunedLoader(Rows(), pruner, GLOBAL_BATCH // ranks)
    for _ in pruner.epochs():
        for place, (ids, batch) in enumerate(loader, start=pruner.start // GLOBAL_BATCH + 1):
            (pruner.loss(ids, *scores(model(**batch), batch["labels"])) / accumulation).backward()
            if place % accumulation:
                continue
            for parameter in model.parameters() if ranks > 1 else ():
                dist.all_reduce(parameter.grad)
                parameter.grad /= ranks
            optimizer.step(), optimizer.zero_grad()
            updates += 1
            if updates % SAVE_EVERY == 0:
                states = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "updates": updates}
                torch.save({**states, "pruner": pruner.state_dict()}, folder / f"{dist_rank()}.new")
                (folder / f"{dist_rank()}.new").rename(path)
    return model


def accelerate(folder: Path, ranks: int, accumulation: int, anneal: float) -> nn.Module:
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=accumulation)
    model, pruner, path = Net(), new_pruner(anneal), folder / "accelerate"
    optimizer = new_optimizer(model)
    loader = prepare_loader(accelerator, PrunedLoader(Rows(), pruner, GLOBAL_BATCH // ranks))
    model, optimizer = accelerator.prepare(model, optimizer)
    accelerator.register_for_checkpointing(pruner)
    updates = max((int(found.name) for found in path.glob("*")), default=0)
    if updates:
        accelerator.load_state(str(path / str(updates)))
    for _ in pruner.epochs():
        for ids, batch in loader:
            with accelerator.accumulate(model):
                accelerator.backward(pruner.loss(ids, *scores(model(**batch), batch["labels"])))
                optimizer.step(), optimizer.zero_grad()
            if accelerator.sync_gradients:
                updates += 1
                if updates % SAVE_EVERY == 0:
                    accelerator.save_state(str(path / str(updates)))
    return accelerator.unwrap_model(model)


def trainer(folder: Path, ranks: int, accumulation: int, anneal: float) -> nn.Module:
    args = TrainingArguments(
        str(folder / "trainer"), num_train_epochs=EPOCHS, per_device_train_batch_size=GLOBAL_BATCH // ranks,
        gradient_accumulation_steps=accumulation, save_steps=SAVE_EVERY, max_grad_norm=0, logging_strategy="no",
        report_to="none", disable_tqdm=True, use_cpu=True, dataloader_pin_memory=False, label_names=["labels"],
    )  # fmt: skip
    model = Net()
    optimizer = new_optimizer(model)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    made = PrunedTrainer(
        model, args, train_dataset=Rows(), pruner=new_pruner(anneal), score_fn=scores, optimizers=(optimizer, schedule)
    )
    made.remove_callback(PrinterCallback)  # the server answers on stdout
    made.train(resume_from_checkpoint=any((folder / "trainer").glob("checkpoint-*")))
    return made.accelerator.unwrap_model(model)


class Module(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        ids, batch = batch
        return self.pruner.loss(ids, *scores(self.net(**batch), batch["labels"]))

    def configure_optimizers(self) -> Any:
        return new_optimizer(self)


def lightning(folder: Path, ranks: int, accumulation: int, anneal: float) -> nn.Module:
    saving = ModelCheckpoint(folder / "lightning", every_n_train_steps=SAVE_EVERY, save_last=True)
    made = L.Trainer(
        accelerator="cpu", devices=ranks, strategy="ddp" if ranks > 1 else "auto", max_epochs=EPOCHS, logger=False,
        accumulate_grad_batches=accumulation, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[Pruning(new_pruner(anneal)), saving],
    )  # fmt: skip
    module, path = Module(), folder / "lightning" / "last.ckpt"
    made.fit(module, DataLoader(Rows(), GLOBAL_BATCH // ranks), ckpt_path=path if path.exists() else None)
    return module.net


WAYS: dict[str, Callable[[Path, int, int, float], nn.Module]] = {
    "plain": plain, "accelerate": accelerate, "Trainer": trainer, "Lightning": lightning
}  # fmt: skip


def dist_rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def train(
    folder: str, tell: Callable[[], None], *, way: str, session: int = 0, stop: int | None = None, ranks: int = 1,
    accumulation: int = 1, anneal: float = 0.0,
) -> None:  # fmt: skip
    """The server's task: train in one of the ways, what is left of the run in ``folder``.

    Args:
        stop: how many batches to train before all ranks are killed; with several, behind an update since which none
            was saved: one rank may be as far before another's file is whole.
    """
    rank = kill_run.forked(ranks)
    passes, loss_of_batch = 0, Pruner.loss
    with (Path(folder) / f"log-{session}-{rank}").open("w") as log:

        def logged(pruner: Pruner, ids: torch.Tensor, *values: Any, **named: Any) -> torch.Tensor:
            nonlocal passes
            if rank == 0 and passes == stop:
                os.killpg(0, signal.SIGKILL)
            passes += 1
            log.write(json.dumps([pruner.epoch, ids.tolist()]) + "\n")
            log.flush()
            return loss_of_batch(pruner, ids, *values, **named)

        Pruner.loss = logged  # type: ignore[method-assign]
        model = WAYS[way](Path(folder), ranks, accumulation, anneal)
    weights = torch.cat([parameter.detach().flatten() for parameter in model.parameters()]).tolist()
    (Path(folder) / f"weights-{rank}").write_text(json.dumps(weights))
    if rank:
        os._exit(0)


class Server(kill_run.Server):
    script, warnings, stderr = __file__, "ignore", subprocess.DEVNULL


if __name__ == "__main__":
    kill_run.TASKS.update({"train": train})
    kill_run.serve()
