"""Where the cost of a pruned step lies: batch, scores, Pruner.loss, backward, and the end of the epoch.

Measured: processor microseconds of each part of a step, plain and pruned, alternating step by step as in step_cost.py
(same models, batches and samples). A part's difference is the median over pairs of steps, and between the fastest tenth
of either side, which other programs hardly touch. Parts are less noisy than whole steps: what differs is in them, and
the model's own forward pass and optimizer are not.

Run:    python benchmarks/step_parts.py      # the cnn; --model mlp --rate 0
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Iterator, Sequence

import torch
from machine import describe
from step_cost import BATCHES, WARM_UP, asked, made
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset, TensorDataset

from emprune import PrunedLoader, Pruner
from emprune.scoring import classification

PARTS = ("batch", "forward", "scores", "pruner", "backward", "optimizer")


def plain_step(batches: Iterator[list[torch.Tensor]], model: nn.Module, optimizer: torch.optim.Optimizer) -> list[int]:
    """Nanoseconds at the beginning, and after each part."""
    clock = time.process_time_ns
    times = [clock()]
    images, labels = next(batches)
    times.append(clock())
    outputs = model(images)
    times.append(clock())
    loss = F.cross_entropy(outputs, labels)
    times += [clock(), clock()]
    loss.backward()
    times.append(clock())
    optimizer.step()
    optimizer.zero_grad()
    return [*times, clock()]


def pruned_step(
    batches: Iterator[tuple[torch.Tensor, list[torch.Tensor]]],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    pruner: Pruner,
) -> list[int]:
    """Likewise."""
    clock = time.process_time_ns
    times = [clock()]
    ids, (images, labels) = next(batches)
    times.append(clock())
    outputs = model(images)
    times.append(clock())
    scored = classification(outputs, labels)
    times.append(clock())
    loss = pruner.loss(ids, *scored)
    times.append(clock())
    loss.backward()
    times.append(clock())
    optimizer.step()
    optimizer.zero_grad()
    return [*times, clock()]


def measure(options: argparse.Namespace) -> tuple[list[list[int]], list[list[int]], list[float]]:
    """Times of plain steps, of pruned steps, and microseconds a step of ending each epoch."""
    plain, inputs = made(options)
    data, batch = TensorDataset(inputs, torch.randint(0, 10, (options.size,))), BATCHES[options.model]
    pruned = copy.deepcopy(plain)
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.01) for model in (plain, pruned)]
    epochs = options.epochs + WARM_UP
    pruner = Pruner(options.size, options.policy, prune_rate=options.rate, num_epochs=epochs, warmup_epochs=1)
    loader = PrunedLoader(data, pruner, batch_size=batch)
    found: tuple[list[list[int]], list[list[int]], list[float]] = ([], [], [])
    for epoch in range(epochs):
        sides = iter(DataLoader(Subset(data, pruner.plan.ids.tolist()), batch_size=batch)), iter(loader)
        steps = len(loader)
        for number in range(steps):
            took = [[], []]
            for side in (number % 2, 1 - number % 2):
                arguments = (sides[side], (plain, pruned)[side], optimizers[side])
                took[side] = pruned_step(*arguments, pruner) if side else plain_step(*arguments)
            if epoch >= WARM_UP:
                found[0].append(took[0])
                found[1].append(took[1])
        began = time.process_time_ns()
        pruner.end_epoch()
        if epoch >= WARM_UP:
            found[2].append((time.process_time_ns() - began) / steps / 1e3)
    return found


def differences(plain: Sequence[int], pruned: Sequence[int]) -> dict[str, float]:
    """Microseconds that pruning adds to a part, over pairs and between the fastest tenths."""
    tenth = len(plain) // 10
    pairs = statistics.median(after - before for before, after in zip(plain, pruned, strict=True))
    return {
        "median_of_pairs": round(pairs / 1e3, 1),
        "fastest_tenth": round((sorted(pruned)[tenth] - sorted(plain)[tenth]) / 1e3, 1),
    }


def main() -> None:
    options = asked(__doc__.splitlines()[0], epochs=8)
    torch.set_num_threads(1)
    plain, pruned, ends = measure(options)
    parts = {
        name: differences(*([row[at + 1] - row[at] for row in side] for side in (plain, pruned)))
        for at, name in enumerate(PARTS)
    }
    steps = sorted(row[-1] - row[0] for row in plain)
    result = {
        "benchmark": "step_parts",
        **vars(options),
        "plain_microseconds": {
            "median": round(statistics.median(steps) / 1e3, 1), "fastest_tenth": round(steps[len(steps) // 10] / 1e3, 1)
        },
        "added_microseconds": parts,
        "end_of_epoch_microseconds_per_step": {
            "median": round(statistics.median(ends), 1), "least": round(min(ends), 1)
        },
        "machine": describe(),
    }  # fmt: skip
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
