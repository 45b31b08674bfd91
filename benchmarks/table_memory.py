"""Memory of the score table and of a whole pruner, bytes a sample.

The table: ScoreTable.nbytes / N, and the growth of traced allocations (tracemalloc, which numpy reports to)
while the table is built and after a whole epoch has been written to it. Target: at most 16 bytes a sample.

The pruner, on one process: its resident memory after each phase of an epoch and the peak within it (Linux), less
what was resident before the pruner was built. All rows of the table are written first, since a page that nobody has
written takes no memory. "a few steps" are 4 batches of 4096, then come the epoch's others,
whose observations wait for its end at 16 bytes each and a little for each batch.

Run:    python benchmarks/table_memory.py --size 10000000
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe

from emprune import IdBatches, Pruner, ScoreTable

CHUNK, BATCH = 10**6, 4096


def traced(size: int) -> dict[str, float]:
    """The table alone, as the allocator counts it."""
    tracemalloc.start()
    table = ScoreTable(size)
    built, _ = tracemalloc.get_traced_memory()
    write(table)
    written, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "bytes_per_sample": table.nbytes / size,
        "traced_bytes_per_sample_built": round(built / size, 3),
        "traced_bytes_per_sample_after_an_epoch": round(written / size, 3),
    }


def write(table: ScoreTable) -> None:
    """An observation of every sample, with scores that differ."""
    rng = np.random.default_rng(0)
    for begin in range(0, len(table), CHUNK):
        ids = np.arange(begin, min(begin + CHUNK, len(table)))
        loss, memory = rng.random((2, len(ids)), dtype=np.float32)
        table.record(ids, loss, memory, 0, np.ones(len(ids), dtype=bool))


def resident(field: str) -> int:
    """VmRSS, the resident memory of this process, or VmHWM, its peak; bytes."""
    return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def train(pruner: Pruner, batches: Iterator[torch.Tensor]) -> None:
    for ids in batches:
        scores = torch.rand(2, len(ids))
        pruner.loss(ids, scores[0], scores[1])


def phases(size: int, policy: str, rate: float) -> dict[str, dict[str, float]]:
    """Bytes a sample after each phase, and at its peak."""
    before, found, made = resident("VmRSS"), {}, []

    def run(name: str, task: Callable[[], Any]) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # let the peak begin anew
        began = time.perf_counter()
        task()
        now, peak = (round((resident(field) - before) / size, 1) for field in ("VmRSS", "VmHWM"))
        found[name] = {"after": now, "peak": peak, "seconds": round(time.perf_counter() - began, 2)}

    def build() -> None:
        made.append(Pruner(size, policy, prune_rate=rate, num_epochs=3))
        write(made[0].table)

    run("built, every row written", build)
    (pruner,) = made
    run("plan", lambda: len(pruner.plan))
    batches = iter(IdBatches(pruner, BATCH))
    run("a few steps", partial(train, pruner, islice(batches, 4)))
    run("the epoch's other steps", partial(train, pruner, batches))
    run("end of the epoch", pruner.end_epoch)
    run("next plan", lambda: len(pruner.plan))
    run("state_dict", lambda: pruner.state_dict() and None)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=10_000_000, help="N, number of samples")
    parser.add_argument("--policy", default="emp")
    parser.add_argument("--prune-rate", type=float, default=0.7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        json.dumps(
            {
                "benchmark": "table_memory",
                "size": options.size,
                "table": traced(options.size),
                "pruner": {
                    "policy": options.policy,
                    "prune_rate": options.prune_rate,
                    "bytes_per_sample": phases(options.size, options.policy, options.prune_rate),
                },
                "machine": describe(),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
