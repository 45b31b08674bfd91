"""Per-sample arrays made by hand, and comparisons of them."""

import numpy as np
from made_results import compared, made

from emprune_lab.records.results import Samples


def samples(count=200, most=30, seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    return Samples(
        times_trained=rng.integers(0, most + 1, count).astype(np.int32),
        loss=rng.exponential(1.0, count).astype(np.float32),
        entropy=rng.uniform(0, 2.3, count).astype(np.float32),
        correct=rng.random(count) < 0.8,
        mislabelled=rng.random(count) < noise,
    )


def shown(arrays):
    """A comparison from (policy, rate) → arrays of its seeds."""
    runs = {(cell, seed): made(*cell, seed) for cell, every in arrays.items() for seed in range(len(every))}
    return compared(runs.values(), {run.run_id: arrays[cell][seed] for (cell, seed), run in runs.items()})
