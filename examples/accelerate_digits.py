"""A loop on accelerate, scikit-learn's digits, pruned by 70 %.

    python examples/accelerate_digits.py [--epochs 20]
    torchrun --nproc-per-node 2 examples/accelerate_digits.py

Beside imports four lines differ from a loop without pruning: accelerate_digits.diff shows them. accelerate_loop.py adds
a schedule of exact length, checkpoints, and what a killed run needs to go on.
"""

from __future__ import annotations

import argparse

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

from emprune import PrunedLoader, Pruner
from emprune.integrations.accelerate import prepare_loader
from emprune.scoring import classification


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    epochs = parser.parse_args().epochs

    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    torch.manual_seed(0)
    digits = load_digits()
    images, labels = torch.tensor(digits.images, dtype=torch.float32) / 8 - 1, torch.tensor(digits.target)
    data, size = TensorDataset(images[:1200], labels[:1200]), 32 // accelerator.num_processes

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    model, optimizer = accelerator.prepare(model, optimizer)

    loader = prepare_loader(accelerator, PrunedLoader(data, Pruner(len(data), prune_rate=0.7, num_epochs=epochs), size))
    for _ in loader.pruner.epochs():
        for ids, (batch, targets) in loader:
            loss = loader.pruner.loss(ids, *classification(model(batch), targets))
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()

    model.eval()
    with torch.no_grad():
        right = (model(images[1200:].to(accelerator.device)).argmax(1).cpu() == labels[1200:]).float().mean()
    accelerator.print(f"test accuracy {right:.1%}")
    accelerator.end_training()


if __name__ == "__main__":
    main()
