"""Efficiency of whole pruned epochs over image files that workers decode, and how long an epoch takes to begin.

Measured: seconds of epochs of training on images of Fashion-MNIST, written as JPEG files into a temporary folder and
read by a DataLoader with workers. Epochs alternate within one run, taking turns at being first, after a warm-up:

- ``plain``:  DataLoader over a torch.utils.data.Subset of as many files, shuffled, F.cross_entropy;
- ``pruned``: PrunedLoader at a prune rate of 0.7, emprune.scoring.classification, Pruner.loss, Pruner.end_epoch and the
  next epoch's plan.

``efficiency`` is the median over pairs of epochs of plain seconds a sample to pruned seconds a sample, with quartiles:
by the wall clock and by the processors' seconds of the process and its workers, which other programs hardly move.
``start`` is from asking the loader for an iterator to its first batch. Target: an efficiency of at least 0.97.

Run:    python benchmarks/epoch_cost.py                  # workers that stay; --restart-workers for new ones each epoch
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from machine import describe
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset

from emprune import PrunedLoader, Pruner
from emprune.scoring import classification
from emprune_lab.data.fashion_mnist import load_fashion_mnist
from emprune_lab.networks.models import build

BATCH, RATE, WARM_UP = 128, 0.7, 2


class Took(NamedTuple):
    """Seconds of an epoch by the clock and of processors, and from asking for an iterator to its first batch."""

    wall: float
    cpu: float
    start: float


class Files(Dataset[tuple[torch.Tensor, int]]):
    """JPEG files of grey images, and their labels."""

    def __init__(self, folder: Path, number: int, pixels: int) -> None:
        data = load_fashion_mnist(None)
        self.labels: list[int] = data.labels[:number].tolist()
        self.paths = [str(folder / f"{index}.jpg") for index in range(number)]
        for path, image in zip(self.paths, data.images[:number, 0].numpy(), strict=True):
            Image.fromarray(image).resize((pixels, pixels)).save(path, quality=90)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.paths[index]) as file:
            image = np.array(file.resize((28, 28)), dtype=np.float32)
        return torch.from_numpy(image / 255)[None], self.labels[index]


def processor_seconds() -> float:
    """Of this process, of its workers that live, and of those that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = 0
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ended.ru_utime + ended.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def timed(batches: Iterable[object], step: Callable[[object], None], end: Callable[[], object]) -> Took:
    began, cpu = time.perf_counter(), processor_seconds()
    iterator = iter(batches)
    first = next(iterator)
    started = time.perf_counter()
    step(first)
    for batch in iterator:
        step(batch)
    end()
    return Took(time.perf_counter() - began, processor_seconds() - cpu, started - began)


def measure(options: argparse.Namespace, folder: Path) -> list[tuple[Took, Took]]:
    """What each pair of epochs took, plain and pruned."""
    torch.manual_seed(0)
    data = Files(folder, options.size, options.pixels)
    models = [build("cnn", channels=1, size=28, num_classes=10, seed=0)]
    models.append(copy.deepcopy(models[0]))
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.01) for model in models]
    epochs = options.epochs + WARM_UP
    pruner = Pruner(len(data), options.policy, prune_rate=RATE, num_epochs=epochs)
    workers = {"num_workers": options.workers, "persistent_workers": not options.restart_workers}
    some = Subset(data, np.random.default_rng(0).permutation(len(data))[: pruner.kept[0]].tolist())
    plain, pruned = DataLoader(some, BATCH, shuffle=True, **workers), PrunedLoader(data, pruner, BATCH, **workers)

    def trained(side: int, loss_of: Callable[[nn.Module], torch.Tensor]) -> None:
        loss_of(models[side]).backward()
        optimizers[side].step()
        optimizers[side].zero_grad()

    def plain_step(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
        images, labels = batch
        trained(0, lambda model: F.cross_entropy(model(images), labels))

    def pruned_step(batch: tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]) -> None:
        ids, (images, labels) = batch
        trained(1, lambda model: pruner.loss(ids, *classification(model(images), labels)))

    def next_plan() -> None:
        pruner.end_epoch()
        if pruner.epoch < epochs:
            pruner.plan  # noqa: B018, as the next iteration would make it

    sides = ((plain, plain_step, lambda: None), (pruned, pruned_step, next_plan))
    found = []
    for epoch in range(epochs):
        order = (0, 1) if epoch % 2 else (1, 0)
        took = {side: timed(*sides[side]) for side in order}
        found.append((took[0], took[1]))
    return found[WARM_UP:]


def quartiles(values: Iterable[float]) -> list[float]:
    return [round(value, 4) for value in statistics.quantiles(values, n=4)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="emp")
    parser.add_argument("--size", type=int, default=10_000, help="N, files")
    parser.add_argument("--pixels", type=int, default=96, help="side of the images in the files")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--restart-workers", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options, Path(folder))
    names = ("plain", "pruned")
    result = {
        "benchmark": "epoch_cost",
        **vars(options),
        "efficiency_wall": quartiles(plain.wall / pruned.wall for plain, pruned in found),
        "efficiency_processors": quartiles(plain.cpu / pruned.cpu for plain, pruned in found),
        "epoch_seconds": {
            name: round(statistics.median(pair[side].wall for pair in found), 4) for side, name in enumerate(names)
        },
        "start_milliseconds": {
            name: quartiles(pair[side].start * 1e3 for pair in found) for side, name in enumerate(names)
        },
        "machine": describe(),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
