"""Does pruning help here? Every policy on scikit-learn's digits, from an ordinary training script to the page.

    python examples/compare_digits.py

compare_digits.diff shows what differs from a script that trains once: twelve lines are added. What is finished is
kept, so that the same command goes on where it was stopped or killed.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import TensorDataset

import emprune_lab
from emprune import PrunedLoader, Pruner
from emprune.scoring import classification

EPOCHS, BATCH = 20, 32

digits = load_digits()
images, labels = torch.tensor(digits.images, dtype=torch.float32) / 8 - 1, torch.tensor(digits.target)
train_set = TensorDataset(images[:1200], labels[:1200])


def train(pruner: Pruner, seed: int) -> dict[str, float]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loader = PrunedLoader(train_set, pruner, batch_size=BATCH)
    schedule = OneCycleLR(optimizer, max_lr=0.2, total_steps=pruner.total_steps(BATCH))
    for _ in pruner.epochs():
        for ids, (batch, targets) in loader:
            loss = pruner.loss(ids, *classification(model(batch), targets))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()

    model.eval()
    with torch.no_grad():
        accuracy = (model(images[1200:]).argmax(1) == labels[1200:]).float().mean()
    return {"accuracy": float(accuracy)}


if __name__ == "__main__":
    emprune_lab.compare(train, num_samples=len(train_set), num_epochs=EPOCHS, out="runs/compare-digits")
