"""Cost of an epoch's plan: selecting k of N scores by each rule and shuffling the order, on one core.

Measured: processor seconds from scores to a finished EpochPlan (``make`` = the rule, ``order`` = plan.shuffled), the
smallest of ``--repeats`` runs, for prune rates 0.5, 0.7 and 0.9. Scores: N float32 drawn from Gamma(0.5),
the shape of a trained network's losses. No threads. In the same run, at a prune rate of 0.5 and the first size, what
straightforward implementations pay for the k highest in a random order, and InfoBatch for its choice:

- ``argsort``: np.argsort of all scores, then a permutation of the first k;
- ``torch topk``: torch.topk, then torch.randperm;
- ``partition``: np.argpartition, then a permutation;
- ``infobatch``: samples below the mean are kept with a probability of 1 - r and weigh 1/(1 - r) (Qin et al.,
  arXiv:2303.04947, algorithm 1), ids gathered in a Python list that is shuffled, as in the loop published with it.

Target: at most 0.3 s at N = 10^7 or 0.11 of ``argsort``, and at 10^8 at most 1.3 times as much a sample.

Run:    python benchmarks/select_cost.py                                 # 10^7
        python benchmarks/select_cost.py --sizes 10000000 100000000      # and 10^8; needs about 6 GB of memory
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
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
        began = time.process_time()
        chosen = rule(scores, k, rng)
        ruled = time.process_time()
        plan = shuffled(chosen, len(scores), repeat, 0)
        ended = time.process_time()
        if len(plan) != k:
            raise SystemExit(f"a plan of {len(plan)} samples; asked for {k}")
        runs.append((ended - began, ruled - began, ended - ruled))
    total, ruling, ordering = min(runs)
    return {"seconds": round(total, 4), "rule": round(ruling, 4), "order": round(ordering, 4)}


def argsort(scores: np.ndarray, k: int) -> object:
    return np.random.default_rng(0).permutation(np.argsort(scores)[-k:])


def topk(scores: np.ndarray, k: int) -> object:
    found = torch.from_numpy(scores).topk(k, sorted=False).indices
    return found[torch.randperm(k)]


def partition(scores: np.ndarray, k: int) -> object:
    return np.random.default_rng(0).permutation(np.argpartition(scores, len(scores) - k)[-k:])


def infobatch(scores: np.ndarray, k: int) -> object:
    """As many are kept below the mean as r says; how many that makes in all depends on the scores."""
    rng, kept = np.random.RandomState(0), k / len(scores)
    below = scores < scores.mean()
    candidates = np.flatnonzero(below)
    weights, ids = np.ones_like(scores), list(np.flatnonzero(~below))
    drawn = rng.choice(candidates, int(kept * len(candidates)), replace=False)
    weights[drawn] = 1 / kept
    ids.extend(drawn)
    rng.shuffle(ids)
    return ids, weights


OTHERS = {"argsort": argsort, "torch topk": topk, "partition": partition, "infobatch": infobatch}


def seconds(other: Callable[[np.ndarray, int], object], scores: np.ndarray, k: int, repeats: int) -> float:
    """Processor seconds of the fastest run."""
    runs = []
    for _ in range(repeats):
        began = time.process_time()
        other(scores, k)
        runs.append(time.process_time() - began)
    return round(min(runs), 4)


def measure_all(size: int, repeats: int) -> dict[str, object]:
    """Each rule at each rate, and the slowest of them."""
    scores = np.random.default_rng(0).gamma(0.5, size=size).astype(np.float32)
    results = {
        name: {rate: measure(rule, scores, kept_count(size, rate), repeats) for rate in RATES}
        for name, rule in RULES.items()
    }
    slowest = max(cell["seconds"] for row in results.values() for cell in row.values())
    return {
        "seconds_by_rule_and_prune_rate": results,
        "slowest_seconds": slowest,
        "slowest_nanoseconds_per_sample": round(slowest / size * 1e9, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000_000], help="N, numbers of scores")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {size: measure_all(size, options.repeats) for size in options.sizes}
    first = options.sizes[0]
    scores, k = np.random.default_rng(0).gamma(0.5, size=first).astype(np.float32), kept_count(first, RATES[0])
    others = {
        name: seconds(other, scores, k, 1 if name == "infobatch" else options.repeats) for name, other in OTHERS.items()
    }
    result = {"benchmark": "select_cost", "sizes": found, "others_seconds": others, "machine": describe()}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
