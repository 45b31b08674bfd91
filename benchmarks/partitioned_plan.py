"""A plan made by ranks that hold a partition of the scores each: checked on real processes, and what it costs at 10⁹.

One rank of many is simulated: it does its own work for real, on its own rows, in a world whose other ranks
always answer as it would itself. And at a size that fits here the plan of real processes is compared with that of
one process that holds all scores, id by id and weight by weight.

Memory is the growth of the resident set to its peak (Linux). Bytes are those that leave a rank, by what each collective
has to move, a ring for sums: "all_gather" counts and means, "all_reduce" the histograms of three rounds, "all_to_all"
8 bytes up and 12 down for each sample that the rank trains.

Run:    python benchmarks/partitioned_plan.py             # 10⁹ on 64 ranks simulated, 10⁷ on 4 gloo processes
Prints one JSON object; exits with 1 where a plan differs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch.distributed as dist
import torch.multiprocessing as mp
from machine import describe

from emprune import EMP
from emprune.distributed import ProcessGroup, World
from emprune.distributed.partition import rank_positions
from emprune.distributed.rank_slice import BLOCK, RankSlice
from emprune.epoch.plan import make_plan
from emprune.epoch.rank_plan import PartitionedPlanner, RankPlan
from emprune.policies.base import Request
from emprune.seeding import generator
from emprune.table import ScoreTable

RATE, BATCH, EPOCH, SEED = 0.7, 64, 3, 1


class AnySize(EMP):
    """EMP that does not insist on exactly k, since simulated ranks that all answer alike cannot have it."""

    def epoch_size(self, num_samples: int, k: int) -> None:
        return None


class Counting(World):
    """Counts rounds and the bytes that leave this rank; passes everything on."""

    def __init__(self, world: Any) -> None:
        self.world, self.rank, self.size = world, world.rank, world.size
        self.rounds, self.bytes = 0, {"all_gather": 0.0, "all_reduce": 0.0, "all_to_all": 0.0}

    def all_gather(self, column: Any) -> list[Any]:
        self._count("all_gather", column.nbytes * (self.size - 1), sizes=8 * (self.size - 1))
        return self.world.all_gather(column)

    def all_reduce(self, counts: Any) -> Any:
        self._count("all_reduce", 2 * counts.nbytes * (self.size - 1) / self.size)
        return self.world.all_reduce(counts)

    def all_to_all(self, parts: list[Any]) -> list[Any]:
        away = sum(part.nbytes for rank, part in enumerate(parts) if rank != self.rank)
        self._count("all_to_all", away, sizes=8 * (self.size - 1))
        return self.world.all_to_all(parts)

    def _count(self, kind: str, number: float, sizes: int = 0) -> None:
        self.rounds += 1
        self.bytes[kind] += number + sizes


class Alike(World):
    """One rank of ``size`` whose others all have the same values."""

    def __init__(self, size: int) -> None:
        self.size = size

    def all_gather(self, column: Any) -> list[Any]:
        return [column] * self.size

    def all_reduce(self, counts: Any) -> Any:
        return counts * self.size

    def all_to_all(self, parts: list[Any]) -> list[Any]:
        return parts


def scored(num_samples: int, owned: RankSlice) -> ScoreTable:
    """A table as after some epochs: losses and entropies by block of rows, however they are cut."""
    table = ScoreTable(num_samples, owned=owned)
    loss = owned.draw(generator(0, 0, "loss"), lambda rng, out: rng.standard_exponential(out=out, dtype=np.float32))
    memory = owned.draw(generator(0, 0, "memory"), lambda rng, out: rng.random(out=out, dtype=np.float32))
    for begin in range(0, owned.size, BLOCK):
        ids = np.arange(begin, min(begin + BLOCK, owned.size))
        table.record(ids, loss[ids], memory[ids], 0, np.zeros(len(ids), dtype=bool))
    return table


def request(table: ScoreTable) -> Request:
    return Request(table, round((1 - RATE) * table.owned.num_samples), EPOCH, 10, SEED)


def resident(field: str) -> int:
    """VmRSS, the resident memory of this process, or VmHWM, its peak; bytes."""
    return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def forget_peak() -> int:
    """Let the peak begin anew; the resident memory now, bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def cost(plan: RankPlan, table: ScoreTable, world: Counting, seconds: float, before: int) -> dict[str, Any]:
    grown = resident("VmHWM") - before
    return {
        "rows": table.owned.size,
        "samples_to_train": len(plan),
        "seconds_per_plan": round(seconds, 2),
        "mib_of_table": round(table.nbytes / 2**20, 1),
        "mib_at_peak": round(grown / 2**20, 1),
        "bytes_per_row_at_peak": round(grown / table.owned.size, 1),
        "rounds": world.rounds,
        "kib_leaving_the_rank": {kind: round(number / 2**10, 1) for kind, number in world.bytes.items()},
    }


def work(rank: int, ranks: int, num_samples: int, port: int, answers: Any) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=ranks)
    world = Counting(ProcessGroup())
    before = forget_peak()
    table = scored(num_samples, RankSlice.of(num_samples, world))
    began = time.perf_counter()
    plan = PartitionedPlanner(BATCH).make(EMP(), request(table))
    seconds = time.perf_counter() - began
    answers.put((rank, plan.ids, plan.weights, cost(plan, table, world, seconds, before)))
    dist.barrier()
    dist.destroy_process_group()


def check(num_samples: int, ranks: int) -> dict[str, Any]:
    """Compare the plan of several processes with that of one; what it cost the first of them."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    context = mp.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=work, args=(r, ranks, num_samples, port, answers)) for r in range(ranks)]
    for process in processes:
        process.start()
    found = sorted((answers.get() for _ in processes), key=lambda answer: answer[0])
    for process in processes:
        process.join()
    table = scored(num_samples, RankSlice.whole(num_samples))
    began = time.perf_counter()
    plan = make_plan(EMP(), request(table))
    alone = time.perf_counter() - began
    for rank, ids, weights, _ in found:
        places = rank_positions(0, len(plan), BATCH, ranks, rank).positions
        if not (np.array_equal(ids, plan.ids[places]) and np.array_equal(weights, plan.weights[places])):
            raise SystemExit(f"rank {rank}'s part of the plan differs from that of one process")
    return {
        "samples": num_samples, "gloo_processes": ranks, "equal_to_one_process": True, "rank_0": found[0][3],
        "one_process_seconds_per_plan": round(alone, 2),
    }  # fmt: skip


def simulate(num_samples: int, ranks: int) -> dict[str, Any]:
    """One rank of many, the others alike."""
    world = Counting(Alike(ranks))
    before = forget_peak()
    table = scored(num_samples, RankSlice.of(num_samples, world))
    began = time.perf_counter()
    plan = PartitionedPlanner(BATCH).make(AnySize(), request(table))
    seconds = time.perf_counter() - began
    return {
        "samples": num_samples, "ranks": ranks, "a_rank": cost(plan, table, world, seconds, before),
        "gib_of_whole_table": round(16 * num_samples / 2**30, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", type=int, default=10**7, help="samples of the comparison with one process")
    parser.add_argument("--check-ranks", type=int, default=4)
    parser.add_argument("--samples", type=int, default=10**9, help="samples of the simulation")
    parser.add_argument("--ranks", type=int, default=64, help="ranks of the simulation")
    options = parser.parse_args()
    found = {
        "benchmark": "partitioned_plan",
        "policy": "emp",
        "prune_rate": RATE,
        "simulated": simulate(options.samples, options.ranks),
        "checked": check(options.check, options.check_ranks),
        "machine": describe(),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
