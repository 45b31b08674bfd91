"""Segmentation: the class of each pixel of a canvas with two digits, pruned by 70 %.

    python examples/segmentation.py [--epochs 40]

Beside imports four lines differ from a loop without pruning: segmentation.diff shows them.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

from emprune import PrunedLoader, Pruner
from emprune.scoring import dense


def canvases(images: torch.Tensor, digits: torch.Tensor, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images [N, 1, 8, 16] of two digits side by side, and masks [N, 8, 16]: 0 is background, digit + 1 its ink.

    Pixels that are neither quite ink nor quite background are 255: they do not count.
    """
    chosen = torch.randint(0, len(images), (number, 2))
    shown, classes = images[chosen], digits[chosen][..., None, None] + 1
    masks = torch.where(shown >= 8, classes, torch.where(shown < 4, 0, 255))
    shown, masks = (part.movedim(1, 2).reshape(number, 8, 16) for part in (shown, masks))
    return shown[:, None] / 8 - 1, masks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    epochs = parser.parse_args().epochs

    torch.manual_seed(0)
    digits = load_digits()
    images, labels = torch.tensor(digits.images, dtype=torch.float32), torch.tensor(digits.target)
    train_set = TensorDataset(*canvases(images[:1200], labels[:1200], 1200))
    test_images, test_masks = canvases(images[1200:], labels[1200:], 300)

    model = nn.Sequential(
        nn.Conv2d(1, 24, 5, padding=2), nn.ReLU(), nn.Conv2d(24, 24, 5, padding=2), nn.ReLU(),
        nn.Conv2d(24, 11, 5, padding=2),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    loader = PrunedLoader(train_set, Pruner(len(train_set), prune_rate=0.7, num_epochs=epochs), batch_size=32)
    for _ in loader.pruner.epochs():
        for ids, (batch, targets) in loader:
            loss = loader.pruner.loss(ids, *dense(model(batch), targets, ignore_index=255))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    model.eval()
    with torch.no_grad():
        ink = (test_masks > 0) & (test_masks < 255)
        right = model(test_images).argmax(1) == test_masks
    print(f"the class of {right[ink].float().mean():.1%} of the digits' pixels is right")


if __name__ == "__main__":
    main()
