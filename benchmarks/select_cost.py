"""Cost of an epoch's plan: selecting k of N scores by each rule and shuffling the order, on one core.

Measured: seconds from scores to a finished EpochPlan (``make`` = the rule, ``order`` = plan.shuffled), the
smallest of ``--repeats`` runs, for prune rates 0.5, 0.7 and 0.9. Scores: N float32 drawn from Gamma(0.5),
the shape of a trained network's losses. ``full_sort`` is what a straightforward implementation pays
(np.argsort of all scores, then a permutation of the first k), in the same run.
Target: at most 0.3 s at N = 10^7, and linear growth to 10^8. No threads: all of it is numpy.

Run:    python benchmarks/select_cost.py                       # 10^7
        python benchmarks/select_cost.py --size 100000000      # 10^8; needs about 6 GB of memory
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from machine import describe

from emprune import selection
from emprune.epoch.plan import shuffled
from emprune.epoch.schedule import kept_count
from emprune.seeding import generator
from emprune.selection import Selection

RATES = (0.5, 0.7, 0.9)
Rule = Callable[[np.ndarray, int, np.random.Generator], Selection]
RULES: dict[str, Rule] = {
    "uniform": lambda scores, k, rng: selection.uniform(len(scores), k, rng),
    "top": selection.top,
    "sample, gamma 1": partial(selection.sample, gamma=1.0),
    "sample, gamma 2": partial(selection.sample, gamma=2.0),
    "threshold": selection.threshold,
}


def measure(rule: Rule, scores: np.ndarray, k: int, repeats: int) -> dict[str, float]:
    """Seconds of the fastest run, split into rule and order."""
    runs = []
    for repeat in range(repeats):
        rng = generator(0, repeat, "select")
        began = time.perf_counter()
        chosen = rule(scores, k, rng)
        ruled = time.perf_counter()
        plan = shuffled(chosen, len(scores), repeat, 0)
        ended = time.perf_counter()
        if len(plan) != k:
            raise SystemExit(f"a plan of {len(plan)} samples; asked for {k}")
        runs.append((ended - began, ruled - began, ended - ruled))
    total, ruling, ordering = min(runs)
    return {"seconds": round(total, 4), "rule": round(ruling, 4), "order": round(ordering, 4)}


def full_sort(scores: np.ndarray, k: int) -> float:
    """Seconds of a full argsort and a permutation, once."""
    began = time.perf_counter()
    np.random.default_rng(0).permutation(np.argsort(scores)[-k:])
    return round(time.perf_counter() - began, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=10_000_000, help="N, number of scores")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    scores = np.random.default_rng(0).gamma(0.5, size=options.size).astype(np.float32)
    results = {
        name: {rate: measure(rule, scores, kept_count(options.size, rate), options.repeats) for rate in RATES}
        for name, rule in RULES.items()
    }
    slowest = max(cell["seconds"] for row in results.values() for cell in row.values())
    print(
        json.dumps(
            {
                "benchmark": "select_cost",
                "size": options.size,
                "seconds_by_rule_and_prune_rate": results,
                "slowest_seconds": slowest,
                "slowest_nanoseconds_per_sample": round(slowest / options.size * 1e9, 2),
                "full_sort_seconds": full_sort(scores, kept_count(options.size, 0.7)),
                "machine": describe(),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
