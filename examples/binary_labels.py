"""Yes or no: scikit-learn's breast cancer data, one logit a sample, pruned by 70 %.

    python examples/binary_labels.py [--epochs 30]

Beside imports four lines differ from a loop without pruning: binary_labels.diff shows them.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.utils.data import TensorDataset

from emprune import PrunedLoader, Pruner
from emprune.scoring import binary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    epochs = parser.parse_args().epochs

    torch.manual_seed(0)
    data = load_breast_cancer()
    features, labels = torch.tensor(data.data, dtype=torch.float32), torch.tensor(data.target)
    features = (features - features[:400].mean(0)) / features[:400].std(0)
    train_set = TensorDataset(features[:400], labels[:400])

    model = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    loader = PrunedLoader(train_set, Pruner(len(train_set), prune_rate=0.7, num_epochs=epochs), batch_size=32)
    for _ in loader.pruner.epochs():
        for ids, (batch, targets) in loader:
            loss = loader.pruner.loss(ids, *binary(model(batch), targets))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    model.eval()
    with torch.no_grad():
        accuracy = ((model(features[400:])[:, 0] > 0) == labels[400:]).float().mean()
    print(f"test accuracy {accuracy:.1%}")


if __name__ == "__main__":
    main()
