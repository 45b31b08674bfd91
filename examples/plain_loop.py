"""A plain training loop on scikit-learn's digits that prunes 70 % of the data.

    python examples/plain_loop.py [--epochs 30]

The line marked "added" and those marked "changed" are all that differs from a loop without pruning.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

from emprune import PrunedLoader, Pruner
from emprune.scoring import classification


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

    pruner = Pruner(len(train_set), prune_rate=0.7, num_epochs=num_epochs, seed=0)  # added
    loader = PrunedLoader(train_set, pruner, batch_size=32)  # changed
    for _ in pruner.epochs():  # changed
        for ids, (batch, targets) in loader:  # changed
            logits = model(batch)
            loss = pruner.loss(ids, *classification(logits, targets))  # changed
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
