"""Regression with a predicted variance: scikit-learn's diabetes data, pruned by 50 %.

    python examples/regression.py [--epochs 60]

Beside imports four lines differ from a loop without pruning: regression.diff shows them.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import TensorDataset

from emprune import PrunedLoader, Pruner
from emprune.scoring import regression


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    epochs = parser.parse_args().epochs

    torch.manual_seed(0)
    features, progress = load_diabetes(return_X_y=True, scaled=False)
    features, progress = (torch.tensor(values, dtype=torch.float32) for values in (features, progress))
    # Scaled targets: memory term and loss depend on their unit.
    features, progress = ((values - values[:350].mean(0)) / values[:350].std(0) for values in (features, progress))
    train_set = TensorDataset(features[:350], progress[:350])

    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    loader = PrunedLoader(train_set, Pruner(len(train_set), prune_rate=0.5, num_epochs=epochs), batch_size=32)
    for _ in loader.pruner.epochs():
        for ids, (batch, targets) in loader:
            mean, log_variance = model(batch).unbind(1)
            loss = loader.pruner.loss(ids, *regression(mean, targets, variance=log_variance.exp()))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    model.eval()
    with torch.no_grad():
        mean, log_variance = model(features[350:]).unbind(1)
    error, spread = (progress[350:] - mean).square().mean().sqrt(), (log_variance / 2).exp().mean()
    print(f"test error {error:.2f} of a standard deviation of 1, predicted {spread:.2f}")


if __name__ == "__main__":
    main()
