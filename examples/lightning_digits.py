"""A Lightning module that learns scikit-learn's digits, as it is without pruning; killed, it goes on.

    python examples/lightning_digits.py [--epochs 12] [--out runs/lightning] [--resume]

lightning_digits.diff makes it prune 70 % of the data.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Digits(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        images, labels = batch
        loss = F.cross_entropy(self.net(images), labels)
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        images, labels = batch
        self.log("accuracy", (self.net(images).argmax(dim=1) == labels).float().mean())

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def main(epochs: int, out: Path, resume: bool) -> None:
    L.seed_everything(0)
    digits = load_digits()
    images, labels = torch.tensor(digits.images, dtype=torch.float32) / 8 - 1, torch.tensor(digits.target)
    train, test = TensorDataset(images[:1200], labels[:1200]), TensorDataset(images[1200:], labels[1200:])
    callbacks = [
        EarlyStopping("accuracy", mode="max", patience=5),
        ModelCheckpoint(out, every_n_train_steps=10, save_last=True),
    ]
    trainer = L.Trainer(
        max_epochs=epochs, callbacks=callbacks, logger=False, enable_progress_bar=False, enable_model_summary=False
    )
    trainer.fit(
        Digits(), DataLoader(train, batch_size=32, shuffle=True), DataLoader(test, batch_size=600),
        ckpt_path=out / "last.ckpt" if resume else None,
    )  # fmt: skip
    print(f"test accuracy {trainer.callback_metrics['accuracy']:.1%}, {trainer.global_step} updates")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("runs/lightning"))
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    main(**vars(parser.parse_args()))
