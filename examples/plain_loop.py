"""A plain training loop on scikit-learn's digits, and the four lines that make it prune 70 % of the data.

    python examples/plain_loop.py [--epochs 30]

The lines marked "emprune" are all that differs from a loop without pruning.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

import emprune


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    num_epochs = parser.parse_args().epochs

    torch.manual_seed(0)
    digits = load_digits()
    images, labels = torch.tensor(digits.images, dtype=torch.float32) / 8 - 1, torch.tensor(digits.target)
    train_set = TensorDataset(images[:1200], labels[:1200])

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    pruner = emprune.Pruner(len(train_set), "emp", prune_rate=0.7, num_epochs=num_epochs, seed=0)  # emprune
    loader = emprune.PrunedLoader(train_set, pruner, batch_size=32)  # emprune
    for _ in pruner.epochs():  # emprune
        for ids, (batch, targets) in loader:
            logits = model(batch)
            loss = pruner.loss(ids, *emprune.scoring.classification(logits, targets))  # emprune
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    model.eval()
    with torch.no_grad():
        accuracy = (model(images[1200:]).argmax(1) == labels[1200:]).float().mean()
    report = pruner.report()
    print(f"test accuracy {accuracy:.1%}, realised rate {report.realised_rate:.3f}, {report.steps} steps")


if __name__ == "__main__":
    main()
