"""Several labels a sample: which digits does a canvas of one to three show? Pruned by 70 %.

    python examples/several_labels.py [--epochs 40]

Beside imports four lines differ from a loop without pruning: several_labels.diff shows them.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

from emprune import PrunedLoader, Pruner
from emprune.scoring import multilabel


def canvases(images: torch.Tensor, digits: torch.Tensor, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images [N, 1, 8, 24] of up to three digits side by side, and which ones they show, [N, 10]."""
    chosen = torch.randint(0, len(images), (number, 3))
    empty = torch.rand(number, 3) < torch.tensor([0.0, 0.3, 0.3])
    shown = torch.where(empty[..., None, None], 0, images[chosen])
    present = torch.zeros(number, 11).scatter_(1, torch.where(empty, 10, digits[chosen]), 1)[:, :10]
    return shown.movedim(1, 2).reshape(number, 1, 8, 24) / 8 - 1, present


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    epochs = parser.parse_args().epochs

    torch.manual_seed(0)
    digits = load_digits()
    images, labels = torch.tensor(digits.images, dtype=torch.float32), torch.tensor(digits.target)
    train_set = TensorDataset(*canvases(images[:1200], labels[:1200], 1500))
    test_images, test_present = canvases(images[1200:], labels[1200:], 500)

    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 4 * 12, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    loader = PrunedLoader(train_set, Pruner(len(train_set), prune_rate=0.7, num_epochs=epochs), batch_size=32)
    for _ in loader.pruner.epochs():
        for ids, (batch, targets) in loader:
            loss = loader.pruner.loss(ids, *multilabel(model(batch), targets))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    model.eval()
    with torch.no_grad():
        right = (model(test_images) > 0) == test_present.bool()
    print(
        f"{right.float().mean():.1%} of the labels are right, all ten of a canvas for {right.all(1).float().mean():.1%}"
    )


if __name__ == "__main__":
    main()
