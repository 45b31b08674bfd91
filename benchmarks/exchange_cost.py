"""What the ranks' exchange adds to an epoch of training, and what it moves.

Measured: epochs of examples/ddp_fashion_mnist.py (its data, network, global batch of 128, policy and rate) on gloo
processes of one thread each, wrapped in DistributedDataParallel. Two runs train in turns, epoch by epoch, in the same
processes, and take turns at being first:

- ``with``:    a pruner in a process group: ``end_epoch`` exchanges observations and compares the next plan;
- ``without``: the same, in a world whose ranks exchange nothing: each records what itself has seen.

Both make the next plan in ``end_epoch``. Between two barriers each, wall seconds of rank 0 for an epoch's steps and for
``end_epoch``, and CPU seconds of all ranks with gloo's threads. ``added_percent`` is the median over epochs of
(end_epoch with - without) in parts of the whole epoch without, with its quartiles. The first two epochs of each are
left out: in one all losses are new, and warm up is the other. Target: at most 1 %.

Bytes are those of the tensors that a rank gives to all_gather in an epoch, once for each other rank, to which they go.
They are counted, and computed: the rank's observations, filled up to those of the longest rank, 26 bytes each (an id of
8, a step of 8, loss and memory term of 4 each and two flags of 1), the digest of the next plan, 16 bytes, and lengths
of 8.

Run:    python benchmarks/exchange_cost.py      # Fashion-MNIST; --data digits where it is not installed
Prints one JSON object; exits with 1 where what was counted is not what was computed. More processes than cores, as
four on two, share them: their epochs are slower, and what waits for its turn adds to wall seconds on both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.distributed.nn  # before there is a group, which it would hold for ever
import torch.multiprocessing as mp
from machine import describe
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import TensorDataset

from emprune import PrunedLoader, Pruner
from emprune.distributed import ProcessGroup, World
from emprune.distributed.partition import rank_positions
from emprune.scoring import classification
from emprune_lab import data as lab_data

GLOBAL_BATCH, RATE, WARM_UP = 128, 0.7, 2
OBSERVATION, DIGEST, LENGTH = 8 + 8 + 4 + 4 + 1 + 1, 16, 8


class Counting(ProcessGroup):
    """Notes the bytes of each tensor that it gathers."""

    def __init__(self) -> None:
        super().__init__()
        self.gathered: list[int] = []

    def _gather_tensors(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        self.gathered.append(tensor.nbytes)
        return super()._gather_tensors(tensor)


class Silent(World):
    """Ranks that exchange nothing, and so find that they agree."""

    def __init__(self, world: World) -> None:
        self.rank, self.size = world.rank, world.size

    def all_gather(self, column: Any) -> list[Any]:
        others = column if column.nbytes == DIGEST else column[:0]
        return [column if rank == self.rank else others for rank in range(self.size)]


class Side:
    """One of the two runs."""

    def __init__(self, data: TensorDataset, classes: int, world: World, epochs: int) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.LazyLinear(128), nn.ReLU(), nn.Linear(128, classes))
        model(data[0][0][None])
        self.model = DistributedDataParallel(model)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        self.pruner = Pruner(len(data), "emp", prune_rate=RATE, num_epochs=epochs + 1, seed=0, world=world)
        self.loader = PrunedLoader(data, self.pruner, batch_size=GLOBAL_BATCH // world.size)

    def steps(self) -> None:
        for ids, (batch, labels) in self.loader:
            self.pruner.loss(ids, *classification(self.model(batch), labels)).backward()
            self.optimizer.step()
            self.optimizer.zero_grad()


def timed(task: Callable[[], None]) -> np.ndarray:
    """Wall seconds until all ranks are through, and CPU seconds of all ranks."""
    dist.barrier()
    began, used = time.perf_counter(), time.process_time()
    task()
    dist.barrier()
    wall, cpu = time.perf_counter() - began, torch.tensor(time.process_time() - used, dtype=torch.float64)
    dist.all_reduce(cpu)
    return np.array([wall, cpu.item()])


def measure(images: lab_data.LabelledData, epochs: int) -> dict[str, Any]:
    data, world = TensorDataset(images.inputs.float() / 127.5 - 1, images.labels), Counting()
    sides = [Side(data, images.num_classes, side, epochs + WARM_UP) for side in (world, Silent(world))]
    seconds, moved = [], []
    for epoch in range(epochs + WARM_UP):
        measured: list[Any] = [None, None]
        for which in (0, 1) if epoch % 2 else (1, 0):
            before = len(world.gathered)
            measured[which] = (timed(sides[which].steps), timed(sides[which].pruner.end_epoch))
            moved += [world.gathered[before:]] if which == 0 else []
        seconds.append(measured)
    return {"seconds": np.array(seconds[WARM_UP:]), "gathered": moved, "k": len(sides[0].pruner.plan)}


def work(rank: int, options: argparse.Namespace, port: int, answers: Any) -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=options.ranks)
    measured = measure(lab_data.load(options.data, options.data_dir), options.epochs)
    if rank == 0:
        answers.put(measured)
    dist.barrier()
    dist.destroy_process_group()


def wire(gathered: list[list[int]], k: int, ranks: int) -> dict[str, Any]:
    """Bytes that leave one rank in an epoch of k samples, counted and computed.

    Args:
        gathered: bytes of each tensor gathered, by epoch.
    """
    longest = max(len(rank_positions(0, k, GLOBAL_BATCH // ranks, ranks, rank).positions) for rank in range(ranks))
    expected = [longest * OBSERVATION, DIGEST]
    for tensors in gathered:
        if [nbytes for nbytes in tensors if nbytes != LENGTH] != expected:
            raise SystemExit(f"an epoch gathered tensors of {tensors} bytes; computed are {expected}, and lengths")
    counted = {sum(tensors) * (ranks - 1) for tensors in gathered}
    return {
        "counted": sorted(counted),
        "observations_of_a_rank": longest,
        "computed_for_observations": longest * OBSERVATION * (ranks - 1),
        "computed_for_the_digest": DIGEST * (ranks - 1),
        "rounds": sorted({len(tensors) for tensors in gathered}),
    }


def summary(seconds: np.ndarray) -> dict[str, Any]:
    """Of wall or CPU seconds, shape [epochs, 2, 2]: with and without; steps and end of epoch."""
    (with_, without), epoch = seconds[:, :, 1].T, seconds[:, 1].sum(1)
    low, middle, high = statistics.quantiles((with_ - without) / epoch * 100, n=4)
    return {
        "epoch_without": round(float(np.median(epoch)), 4),
        "end_epoch_with": round(float(np.median(with_)), 4),
        "end_epoch_without": round(float(np.median(without)), 4),
        "added_percent": round(middle, 2),
        "added_percent_quartiles": [round(low, 2), round(high, 2)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--data-dir")
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    answers = mp.get_context("spawn").SimpleQueue()
    mp.spawn(work, (options, port, answers), nprocs=options.ranks)
    measured = answers.get()
    described = {
        "benchmark": "exchange_cost",
        "data": options.data,
        "samples_per_epoch": measured["k"],
        "ranks": options.ranks,
        "wall_seconds": summary(measured["seconds"][..., 0]),
        "cpu_seconds_of_all_ranks": summary(measured["seconds"][..., 1]),
        "bytes_leaving_a_rank": wire(measured["gathered"], measured["k"], options.ranks),
        "machine": describe(),
    }
    print(json.dumps(described, indent=2))


if __name__ == "__main__":
    main()
