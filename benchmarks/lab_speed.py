"""Speed of the lab's networks: images a second, training and forward alone, by layout, precision and torch.compile.

Measured, for every network named on the command line (emprune_lab.networks.models, random images of 3 channels and 100
classes, all on the device):

- ``train``:   forward, mean cross-entropy and backward in training mode; no optimiser step;
- ``forward``: forward in evaluation mode without gradients, as in a pass that only scores.

A variant is a layout (``nchw`` or ``nhwc``, channels last), a precision (``float32``, or ``bfloat16`` under
autocast) and ``eager`` or ``compiled``; the variants are all combinations of those asked for, and the first is
the one that ratios refer to. All variants of a network are built and warmed up, which is not timed except as
``seconds_to_warm_up`` (compiling is in it); then they take turns, ``--rounds`` times, each time for about
``--seconds``. Speeds are medians over the rounds, and so are the ratios, each taken within its round. On cuda,
float32 convolutions use what torch allows by default (TF32). A variant that fails is reported with its error.

Run:    python benchmarks/lab_speed.py resnet10-thin:32:128 --threads 2
        python benchmarks/lab_speed.py resnet18:32:128 resnet50:32:128 --device cuda --modes eager compiled
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from machine import describe
from torch.nn import functional as F

from emprune_lab.networks.models import MODELS, build

CLASSES = 100


@dataclass(frozen=True)
class Case:
    """A network, the side of its square images, and the batch size."""

    model: str
    size: int
    batch: int


@dataclass
class Side:
    """One variant of a case: its two kinds of step, and its speeds so far, in images a second."""

    name: str
    steps: dict[str, Callable[[], None]]
    seconds_to_warm_up: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    speeds: dict[str, list[float]] = field(default_factory=lambda: {"train": [], "forward": []})


def case(text: str) -> Case:
    """Read "resnet18:32:128"."""
    model, size, batch = text.split(":")
    if model not in MODELS:
        raise argparse.ArgumentTypeError(f"{model} is not one of {', '.join(MODELS)}")
    return Case(model, int(size), int(batch))


def side_of(one: Case, layout: str, precision: str, mode: str, device: torch.device) -> Side:
    """Build a variant's model and batch."""
    memory = torch.channels_last if layout == "nhwc" else torch.contiguous_format
    network = build(one.model, 3, one.size, CLASSES, 0).to(device).to(memory_format=memory)
    model = torch.compile(network) if mode == "compiled" else network
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(one.batch, 3, one.size, one.size, generator=draw).to(device).to(memory_format=memory)
    labels = torch.randint(CLASSES, (one.batch,), generator=draw).to(device)
    cast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")

    def train() -> None:
        network.train()
        with cast:
            logits = model(images)
        F.cross_entropy(logits.float(), labels).backward()
        network.zero_grad()

    def forward() -> None:
        network.eval()
        with torch.no_grad(), cast:
            model(images)

    return Side(f"{layout} {precision} {mode}", {"train": train, "forward": forward})


def seconds_for(step: Callable[[], None], count: int, device: torch.device) -> float:
    """Wall time of ``count`` steps, until the device has done them."""
    began = time.perf_counter()
    for _ in range(count):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def warm_up(side: Side, device: torch.device, seconds: float) -> None:
    """Compile and settle both kinds of step, and see how many of them take about ``seconds``."""
    for kind, step in side.steps.items():
        side.seconds_to_warm_up += seconds_for(step, 3, device)
        side.counts[kind] = max(1, math.ceil(3 * seconds / seconds_for(step, 3, device)))


def variants(arguments: argparse.Namespace) -> Iterator[tuple[str, str, str]]:
    """Every combination asked for, the reference first."""
    return itertools.product(arguments.layouts, arguments.precisions, arguments.modes)


def measure(one: Case, arguments: argparse.Namespace, device: torch.device) -> list[dict[str, object]]:
    """A row for each variant of a case."""
    sides, failed = [], []
    for layout, precision, mode in variants(arguments):
        try:
            side = side_of(one, layout, precision, mode, device)
            warm_up(side, device, arguments.seconds)
            sides.append(side)
        except RuntimeError as error:
            failed.append({"variant": f"{layout} {precision} {mode}", "error": str(error).splitlines()[0]})
    for _, kind, side in itertools.product(range(arguments.rounds), ("train", "forward"), sides):
        seconds = seconds_for(side.steps[kind], side.counts[kind], device)
        side.speeds[kind].append(side.counts[kind] * one.batch / seconds)
    return [row_of(side, sides[0]) for side in sides] + failed


def row_of(side: Side, reference: Side) -> dict[str, object]:
    """Medians of a variant, and of its ratios to the reference."""
    row: dict[str, object] = {"variant": side.name, "seconds_to_warm_up": round(side.seconds_to_warm_up, 2)}
    for kind, speeds in side.speeds.items():
        ratios = [own / other for own, other in zip(speeds, reference.speeds[kind], strict=True)]
        row[f"{kind}_images_per_second"] = round(statistics.median(speeds), 1)
        row[f"{kind}_ratio"] = round(statistics.median(ratios), 3)
        row[f"{kind}_ratio_range"] = [round(min(ratios), 3), round(max(ratios), 3)]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="+", type=case, metavar="MODEL:SIZE:BATCH")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--layouts", nargs="+", default=["nchw", "nhwc"], choices=["nchw", "nhwc"])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"])
    parser.add_argument("--modes", nargs="+", default=["eager"], choices=["eager", "compiled"])
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each variant, kind of step and round")
    parser.add_argument("--cudnn-benchmark", action="store_true", help="let cuDNN try its algorithms")
    arguments = parser.parse_args()
    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("torch finds no cuda device here")
    torch.set_num_threads(arguments.threads)
    torch.backends.cudnn.benchmark = arguments.cudnn_benchmark
    device = torch.device(arguments.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    rows = [
        {"model": one.model, "image_size": one.size, "batch_size": one.batch, **row}
        for one in arguments.cases
        for row in measure(one, arguments, device)
    ]
    settings = {"threads": arguments.threads, "cudnn_benchmark": arguments.cudnn_benchmark}
    print(
        json.dumps(
            {"benchmark": "lab_speed", "device": name, **settings, "rows": rows, "machine": describe()}, indent=2
        )
    )


if __name__ == "__main__":
    main()
