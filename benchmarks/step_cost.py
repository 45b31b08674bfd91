"""Cost of a pruned training step: PrunedLoader + classification scoring + Pruner.loss, against the plain loop.

Measured: CPU seconds per epoch (time.process_time; one thread, no workers, so all of the work is in it, and
waiting for other programs is not) of training the network of this project's Fashion-MNIST experiments
(emprune_lab.networks.models, "cnn") on 1x14x14 images, batch 128; or, with ``--model mlp``, two layers of 64 on 64
numbers, batch 64, as small as a model gets. Both sides train the same model on the same samples in the same order, so
in the same batches:

- ``plain``:  DataLoader over torch.utils.data.Subset(data, plan.ids), F.cross_entropy (mean), SGD step;
- ``pruned``: PrunedLoader, emprune.scoring.classification, Pruner.loss, SGD step, Pruner.end_epoch.

The sides alternate step by step within one run, taking turns at being first, after warm-up epochs. What the
pruned side adds is the median over an epoch's steps of (pruned - plain), which single interruptions do not
move, plus the step's share of ``end_epoch``; ``extra_percent`` is the median of that over the epochs, in
parts of the median plain step, with its quartiles. Making the plan is not part of a step;
``select_seconds_per_epoch`` gives it apart (see select_cost.py).
Targets: at most 0.12 ms and 1 % more for the cnn, 10 % more for the mlp at a prune rate of 0.

Run:    python benchmarks/step_cost.py      # policy emp; --policy infobatch for a weighted plan, --pixels 28
        python benchmarks/step_cost.py --model mlp --rate 0
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Iterator

import torch
from machine import describe
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset, TensorDataset

from emprune import EpochPlan, PrunedLoader, Pruner
from emprune.scoring import classification
from emprune_lab.networks.models import build

BATCHES = {"cnn": 128, "mlp": 64}
WARM_UP = 3


def plain_steps(model: nn.Module, data: TensorDataset, plan: EpochPlan, batch: int) -> Iterator[None]:
    """One epoch of the plain loop; stops after each step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for images, labels in DataLoader(Subset(data, plan.ids.tolist()), batch_size=batch):
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield


def pruned_steps(model: nn.Module, loader: PrunedLoader, pruner: Pruner) -> Iterator[None]:
    """One epoch of the pruned loop; stops after each step, and does the epoch's end as its last."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for ids, (images, labels) in loader:
        loss = pruner.loss(ids, *classification(model(images), labels))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield
    pruner.end_epoch()


def alternate(plain: Iterator[None], pruned: Iterator[None]) -> tuple[float, float]:
    """Run both epochs step by step; CPU seconds of the median plain step, and what the pruned one adds.

    The pruned side's share of its epoch's end is in what it adds.
    """
    seconds: tuple[list[float], list[float]] = ([], [])
    sides, turn, running = (plain, pruned), 0, True
    while running:
        for side in (turn, 1 - turn):
            began = time.process_time()
            running = next(sides[side], True) is None
            seconds[side].append(time.process_time() - began)
        turn = 1 - turn
    steps = len(seconds[0]) - 1  # the last of each is the epoch's end
    extra = statistics.median(after - before for before, after in zip(seconds[0][:steps], seconds[1], strict=False))
    return statistics.median(seconds[0][:steps]), extra + (seconds[1][-1] - seconds[0][-1]) / steps


def made(options: argparse.Namespace) -> tuple[nn.Module, torch.Tensor]:
    """The model, and its inputs."""
    torch.manual_seed(0)
    if options.model == "mlp":
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)), torch.randn(options.size, 64)
    pixels = options.pixels
    model = build("cnn", channels=1, size=pixels, num_classes=10, seed=0)
    return model, torch.randn(options.size, 1, pixels, pixels)


def measure(options: argparse.Namespace) -> tuple[list[tuple[float, float]], float]:
    """For each epoch CPU seconds of a plain step and what pruning adds to it; seconds of selecting per epoch."""
    size, epochs, batch = options.size, options.epochs, BATCHES[options.model]
    plain, inputs = made(options)
    data = TensorDataset(inputs, torch.randint(0, 10, (size,)))
    pruned = copy.deepcopy(plain)
    pruner = Pruner(size, options.policy, prune_rate=options.rate, num_epochs=epochs + WARM_UP, warmup_epochs=1)
    loader = PrunedLoader(data, pruner, batch_size=batch)
    seconds = [
        alternate(plain_steps(plain, data, pruner.plan, batch), pruned_steps(pruned, loader, pruner))
        for _ in range(epochs + WARM_UP)
    ]
    return seconds[WARM_UP:], pruner.report().seconds_selecting / (epochs + WARM_UP)


def asked(description: str, epochs: int) -> argparse.Namespace:
    """The options: of what is measured the first line, and how many epochs unless told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", default="cnn", choices=BATCHES)
    parser.add_argument("--policy", default="emp")
    parser.add_argument("--rate", type=float, default=0.7, help="prune rate")
    parser.add_argument("--size", type=int, default=20_000, help="N, training samples")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--pixels", type=int, default=14, help="side of an image")
    return parser.parse_args()


def main() -> None:
    options = asked(__doc__.splitlines()[0], epochs=30)
    torch.set_num_threads(1)
    seconds, selecting = measure(options)
    low, middle, high = statistics.quantiles([extra / plain for plain, extra in seconds], n=4)
    print(
        json.dumps(
            {
                "benchmark": "step_cost",
                **vars(options),
                "plain_milliseconds_per_step": round(statistics.median(plain for plain, _ in seconds) * 1e3, 3),
                "extra_microseconds_per_step": round(statistics.median(extra for _, extra in seconds) * 1e6, 1),
                "extra_percent": round(middle * 100, 2),
                "extra_percent_quartiles": [round(low * 100, 2), round(high * 100, 2)],
                "select_seconds_per_epoch": round(selecting, 5),
                "machine": describe(),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
