"""Cost of pruning a contrastive training step: capturing a hidden layer, its memory term, and Pruner.loss.

Measured: seconds of a SimCLR step (2 x 256 views of 28x28 images, made beforehand: augmentation would only dilute
what is measured) of the lab's thin ResNet with a projector, forward, loss, backward and SGD. Both sides train the same
model on the same views and compute NT-Xent by the same function:

- ``plain``:  emprune.scoring.contrastive(memory="none").loss.mean();
- ``pruned``: emprune.Capture of the encoder's output, contrastive(memory="hidden"), Pruner.loss.

On processors: one thread, CPU seconds (time.process_time), so that waiting for other programs is not in it. With
``--device cuda``: wall seconds, the device being waited for at each step's end, on both sides. The sides alternate
step by step, taking turns at being first, after warm-up steps; ``extra_percent`` is the median of the paired ratios,
less one, with its quartiles. What the end of an epoch takes (20,000 samples, 0.7 pruned) is given apart, as is its
share of a step: ``end_of_epoch_percent`` comes on top. Target: at most 3 % more, all together.

Run:    python benchmarks/capture_cost.py       # --full: resnet18; --memory projector|alignment|none; --layers 3 4 5 6
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from machine import describe
from torch import nn

from emprune import Capture, IdBatches, Pruner
from emprune.scoring import contrastive
from emprune_lab.networks.models import build

SAMPLES, RATE, PIXELS, WARM_UP = 20_000, 0.7, 28, 3


def new_model(name: str, device: torch.device) -> nn.Sequential:
    """The lab's network as the encoder, and two layers on top."""
    network = build(name, channels=1, size=PIXELS, num_classes=10, seed=0)
    width = network[-1].in_features
    projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 128))
    return nn.Sequential(OrderedDict(encoder=network[:-1], projector=projector)).to(device)


class Plain:
    """Training without pruning."""

    def __init__(self, model: nn.Sequential) -> None:
        self.model, self.optimizer = model, torch.optim.SGD(model.parameters(), lr=0.01)

    def loss(self, views: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return contrastive(*self.model(views).chunk(2), memory="none").loss.mean()

    def step(self, views: torch.Tensor, ids: torch.Tensor) -> None:
        self.loss(views, ids).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


class Pruned(Plain):
    """The same with capture, memory term and pruner."""

    def __init__(self, model: nn.Sequential, pruner: Pruner, memory: str, layers: Sequence[str]) -> None:
        super().__init__(model)
        self.pruner, self.memory = pruner, memory
        names = [f"encoder.{layer}" for layer in layers] or ["encoder"]
        self.capture = Capture(model, names if memory in ("hidden", "alignment") else ())

    def loss(self, views: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        first, second = self.model(views).chunk(2)
        hidden = [features.chunk(2) for features in self.capture.take().values()]
        return self.pruner.loss(ids, *contrastive(first, second, memory=self.memory, hidden=hidden))


def timed(work: Callable[[], None], device: torch.device) -> float:
    """Seconds that it takes."""
    if device.type == "cpu":
        began = time.process_time()
        work()
        return time.process_time() - began
    torch.cuda.synchronize(device)
    began = time.perf_counter()
    work()
    torch.cuda.synchronize(device)
    return time.perf_counter() - began


def measure(options: argparse.Namespace, device: torch.device) -> tuple[list[tuple[float, float]], float]:
    """Seconds of the (plain, pruned) step in each pair; seconds of an epoch's end, all its steps reported."""
    model = new_model("resnet18" if options.full else "resnet10-thin", device)
    pruner = Pruner(SAMPLES, "emp", prune_rate=RATE, num_epochs=10**6)
    sides = Plain(copy.deepcopy(model)), Pruned(model, pruner, options.memory, options.layers)
    views = torch.randn(2 * options.batch, 1, PIXELS, PIXELS, generator=torch.Generator().manual_seed(0)).to(device)
    views = views.contiguous(memory_format=torch.channels_last)
    pairs: list[tuple[float, float]] = []
    while len(pairs) < options.steps + WARM_UP:
        for ids in IdBatches(pruner, options.batch, drop_last=True):
            seconds = [0.0, 0.0]
            for side in (0, 1) if len(pairs) % 2 else (1, 0):
                seconds[side] = timed(lambda side=side, ids=ids: sides[side].step(views, ids.to(device)), device)
            pairs.append((seconds[0], seconds[1]))
            if len(pairs) == options.steps + WARM_UP:
                break
        else:
            pruner.end_epoch()
    return pairs[WARM_UP:], statistics.median(end_of_epoch(options.batch, device) for _ in range(5))


def end_of_epoch(batch: int, device: torch.device) -> float:
    """Seconds of moving an epoch's observations into the table, and of the next epoch's plan."""
    pruner = Pruner(SAMPLES, "emp", prune_rate=RATE, num_epochs=2)
    for ids in IdBatches(pruner, batch, drop_last=True):
        values = torch.rand(2, len(ids), device=device)
        pruner.loss(ids.to(device), values[0], values[1])

    def work() -> None:
        pruner.end_epoch()
        _ = pruner.plan

    return timed(work, device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="resnet18 instead of the thin ResNet")
    parser.add_argument("--batch", type=int, default=256, help="images, of which there are two views each")
    parser.add_argument("--steps", type=int, default=60, help="measured pairs of steps")
    parser.add_argument("--memory", default="hidden", choices=["hidden", "projector", "alignment", "none"])
    parser.add_argument("--layers", nargs="*", default=[], help="of the encoder; none: its output")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    pairs, end = measure(options, device)
    low, middle, high = statistics.quantiles([pruned / plain - 1 for plain, pruned in pairs], n=4)
    plain = statistics.median(plain for plain, _ in pairs)
    share = end / (round((1 - RATE) * SAMPLES) // options.batch)
    print(
        json.dumps(
            {
                "benchmark": "capture_cost",
                "model": "resnet18" if options.full else "resnet10-thin",
                "batch": options.batch,
                "steps": options.steps,
                "memory": options.memory,
                "layers": options.layers,
                "plain_milliseconds_per_step": round(plain * 1e3, 2),
                "extra_milliseconds_per_step": round(statistics.median(b - a for a, b in pairs) * 1e3, 2),
                "extra_percent": round(middle * 100, 2),
                "extra_percent_quartiles": [round(low * 100, 2), round(high * 100, 2)],
                "end_of_epoch_milliseconds": round(end * 1e3, 2),
                "end_of_epoch_percent": round(share / plain * 100, 3),
                "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
                "machine": describe(),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
