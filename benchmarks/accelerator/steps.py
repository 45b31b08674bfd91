"""A training step with pruning against the plain one, on the device: blocks of steps that take turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from accelerator.loop import CLASSES, made_images
from emprune import IdBatches, Pruner
from emprune.scoring import classification
from emprune_lab.data.resident import ResidentImages
from emprune_lab.networks.models import build

BLOCK, WARM_UP = 8, 2
SECONDS, FEWEST = 12.0, 6
"""Time after which no further pairs are measured, once there are a few."""
_CALLS = 100


@dataclass(frozen=True)
class Case:
    """Both sides train a model by SGD under autocast to bfloat16 (on a CPU in float32) on images on the device."""

    model: str
    device: str
    batch_size: int
    pairs: int


def overhead(case: Case) -> dict[str, Any]:
    """Seconds of a step of either side, and what pruning adds in percent: medians and quartiles over pairs of blocks.

    Of a block's steps none waits for the device, the block's end does; so the device runs behind the host as in
    training. Where a step is as long as its launches take, its noise is many times what is asked for; so what pruning
    adds to the host's time for the loss alone is given beside it. Making the plan and moving the observations to the
    table, once an epoch, are given apart, in parts of the steps of an epoch at a prune rate of 0.7 of 50,000 images.
    """
    torch.set_num_threads(1)
    needed = (case.pairs + WARM_UP) * BLOCK * case.batch_size
    data, device = made_images(min(needed, 50_000)), torch.device(case.device)
    images, labels = ResidentImages(data.inputs, device), data.labels.to(device)
    pruner = Pruner(needed, "emp", prune_rate=0.0, num_epochs=2)
    batches = [ids.to(device) for ids in IdBatches(pruner, case.batch_size)]

    def loss_plain(model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(_logits(model, images[ids % len(data)]), labels[ids % len(data)])

    def loss_pruned(model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
        scores = classification(_logits(model, images[ids % len(data)]), labels[ids % len(data)])
        return pruner.loss(ids, *scores)

    sides = [_blocks(case, loss, batches) for loss in (loss_plain, loss_pruned)]
    pairs, began = list[tuple[float, float]](), time.monotonic()
    for turn in range(case.pairs + WARM_UP):
        if turn >= FEWEST + WARM_UP and time.monotonic() - began > SECONDS:
            break
        first = turn % 2
        seconds = {side: next(sides[side]) for side in (first, 1 - first)}
        pairs.append((seconds[0], seconds[1]))
    plain, pruned = zip(*pairs[WARM_UP:], strict=True)
    low, middle, high = statistics.quantiles([after / before - 1 for before, after in pairs[WARM_UP:]], n=4)
    host = _host_seconds(case)
    return {
        **asdict(case), "n": len(plain), "steps_in_a_block": BLOCK,
        "plain_milliseconds": round(1e3 * statistics.median(plain), 3),
        "pruned_milliseconds": round(1e3 * statistics.median(pruned), 3),
        "extra_percent": round(100 * middle, 2), "quartiles": [round(100 * low, 2), round(100 * high, 2)],
        "host_microseconds": round(1e6 * host, 1), "host_percent": round(100 * host / statistics.median(plain), 2),
        "epoch_end_percent": round(100 * _epoch_end(case) / (15_000 / case.batch_size * statistics.median(plain)), 2),
    }  # fmt: skip


def _blocks(
    case: Case, loss_of: Callable[[nn.Module, torch.Tensor], torch.Tensor], batches: list[torch.Tensor]
) -> Iterator[float]:
    """Seconds of a step, block by block."""
    model = build(case.model, 3, 32, CLASSES, seed=0).to(case.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=case.device != "cpu")
    for begin in range(0, len(batches), BLOCK):
        began = time.perf_counter()
        for ids in batches[begin : begin + BLOCK]:
            loss_of(model, ids).backward()
            optimizer.step()
            optimizer.zero_grad()
        _wait_for(case.device)
        yield (time.perf_counter() - began) / BLOCK


def _host_seconds(case: Case) -> float:
    """What pruning adds to the host's time from logits to their gradient; the device is not waited for."""
    logits = torch.zeros(case.batch_size, CLASSES, device=case.device, requires_grad=True)
    labels = torch.zeros(case.batch_size, dtype=torch.int64, device=case.device)
    needed = (WARM_UP + FEWEST) * _CALLS * case.batch_size
    pruner = Pruner(needed, "emp", prune_rate=0.0, num_epochs=2)
    batches = iter([ids.to(case.device) for ids in IdBatches(pruner, case.batch_size)])

    def plain() -> torch.Tensor:
        return F.cross_entropy(logits, labels)

    def pruned() -> torch.Tensor:
        return pruner.loss(next(batches), *classification(logits, labels))

    added = []
    for turn in range(WARM_UP + FEWEST):
        seconds = {
            side: _seconds_of(side, logits, case.device) for side in ((plain, pruned), (pruned, plain))[turn % 2]
        }
        added.append(seconds[pruned] - seconds[plain])
    return statistics.median(added[WARM_UP:])


def _seconds_of(loss_of: Callable[[], torch.Tensor], logits: torch.Tensor, device: str) -> float:
    _wait_for(device)
    began = time.perf_counter()
    for _ in range(_CALLS):
        loss_of().backward()
        logits.grad = None
    return (time.perf_counter() - began) / _CALLS


def _epoch_end(case: Case) -> float:
    """Seconds of ending an epoch and planning the next."""
    pruner, seconds = Pruner(50_000, "emp", prune_rate=0.7, num_epochs=4), []
    for _ in range(3):
        for ids in IdBatches(pruner, case.batch_size):
            scores = torch.ones(len(ids), device=case.device)
            pruner.select_batch(ids.to(case.device), scores, scores)
        _wait_for(case.device)
        began = time.perf_counter()
        pruner.end_epoch()
        len(pruner.plan)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _logits(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.autocast(images.device.type, torch.bfloat16, enabled=images.is_cuda):
        logits: torch.Tensor = model(images)
    return logits.float()


def _wait_for(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)
