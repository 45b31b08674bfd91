"""What the default policy costs an epoch, beside EMP with fixed constants and dynamic random, on one core.

Measured: seconds of ``Pruner.end_epoch``, by which the epoch's observations reach the table and the policy, and seconds
of making the next plan, at a prune rate of 0.7, the smallest of ``--repeats`` epochs after the second. Losses are N
float32 from Gamma(0.5). Target: no more than 1 % of an epoch of a network that takes 0.1 ms a sample.

Run:    python benchmarks/default_cost.py
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch
from machine import describe

from emprune import Pruner

RATE, SKIPPED = 0.7, 3
POLICIES = ("random", "emp", "emp-gated")


def measure(policy: str, size: int, repeats: int) -> dict[str, float]:
    """Seconds of settling an epoch and of planning the next one, and nanoseconds of both a sample trained."""
    pruner = Pruner(size, policy, prune_rate=RATE, num_epochs=repeats + SKIPPED)
    losses = torch.from_numpy(np.random.default_rng(0).gamma(0.5, size=size).astype(np.float32))
    times = []
    for _ in range(repeats + SKIPPED - 1):
        ids = torch.from_numpy(pruner.plan.ids.copy())
        pruner.loss(ids, losses[ids], losses[ids] / 3)
        began = time.perf_counter()
        pruner.end_epoch()
        settled = time.perf_counter()
        kept = len(pruner.plan)
        times.append((settled - began, time.perf_counter() - settled))
    settling, planning = (min(column) for column in zip(*times[SKIPPED - 1 :], strict=True))
    return {
        "settle": round(settling, 5), "plan": round(planning, 5),
        "nanoseconds_per_trained_sample": round((settling + planning) / kept * 1e9, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 1_000_000, 10_000_000])
    parser.add_argument("--repeats", type=int, default=4)
    options = parser.parse_args()
    found = {size: {policy: measure(policy, size, options.repeats) for policy in POLICIES} for size in options.sizes}
    print(json.dumps({"benchmark": "default_cost", "rate": RATE, "sizes": found, "machine": describe()}, indent=2))


if __name__ == "__main__":
    main()
