"""SimCLR on Fashion-MNIST, pruned by loss and memory term: self-supervised, then tested by nearest neighbours.

    python examples/simclr_fashion_mnist.py [--epochs 10] [--prune-rate 0.5] [--data digits]

No label is used in training. The memory term is read from the encoder's features, which a hook captures. The data are
those of the lab: see `emprune compare --help` for their folder.
"""

from __future__ import annotations

import argparse

import kornia.augmentation as K
import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from emprune import Capture, IdBatches, Pruner
from emprune.scoring import contrastive
from emprune_lab import data as lab_data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--data-dir")
    parser.add_argument("--train-size", type=int, default=20_000, help="images; the first ones")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--policy", default="emp-gated")
    parser.add_argument("--prune-rate", type=float, default=0.5)
    options = parser.parse_args()

    torch.manual_seed(0)
    data = lab_data.load(options.data, options.data_dir)
    images, labels = data.images[: options.train_size].float() / 255, data.labels[: options.train_size]
    channels, size = images.shape[1], images.shape[-1]
    augment = nn.Sequential(  # each image of a batch in its own way
        K.RandomResizedCrop((size, size), scale=(0.3, 1.0)),
        K.RandomHorizontalFlip(),
        K.ColorJitter(brightness=0.4, contrast=0.4, p=0.8),
        K.Normalize(mean=[0.5] * channels, std=[0.5] * channels),
    )

    blocks = [*block(channels, 32), *block(32, 64), *block(64, 128)]
    encoder = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    projector = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 64))
    model = nn.Sequential(encoder, projector)

    pruner = Pruner(len(images), options.policy, prune_rate=options.prune_rate, num_epochs=options.epochs, seed=0)
    batches = IdBatches(pruner, options.batch_size)
    memory, layers = ("alignment", ["0"]) if "memory" in pruner.policy.inputs else ("none", [])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, pruner.total_steps(options.batch_size))
    with Capture(model, layers) as capture:  # "0" is the encoder: what it gives is hidden before the projector
        for epoch in pruner.epochs():
            for ids in batches:
                projected = model(augment(images[ids].repeat(2, 1, 1, 1)))  # the first views, then the second
                hidden = [features.chunk(2) for features in capture.take().values()]
                # batch_size: corrects the scores of the last, smaller batch, which has fewer negatives.
                scores = contrastive(*projected.chunk(2), memory=memory, hidden=hidden, batch_size=options.batch_size)
                loss = pruner.loss(ids, *scores)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                schedule.step()
            print(f"epoch {epoch}: loss {loss:.3f}, memory term {scores.memory.mean():.3f}", flush=True)

    model.eval()
    with torch.no_grad():
        train, test = (
            torch.cat([encoder(part) for part in (2 * x - 1).split(512)]).numpy()
            for x in (images, data.test_images.float() / 255)
        )
    votes = KNeighborsClassifier(20, weights=lambda distance: np.exp(-distance / 0.1), metric="cosine")
    accuracy = votes.fit(train, labels).score(test, data.test_labels)
    print(f"nearest neighbours: {accuracy:.2%} of the test set are right")
    print(pruner.report())


def block(before: int, after: int) -> list[nn.Module]:
    """A convolution that halves the image."""
    return [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]


if __name__ == "__main__":
    main()
