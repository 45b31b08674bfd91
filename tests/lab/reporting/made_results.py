"""Results made by hand, for tests that need no training."""

from __future__ import annotations

import dataclasses

from emprune.lab.recipe import recipe_for
from emprune.lab.results import Result

ACCURACY = {
    ("full", 0.0): [0.95, 0.96, 0.97],
    ("random", 0.7): [0.90, 0.92, 0.91],
    ("lfl", 0.7): [0.88, 0.89, 0.90],
    ("emp", 0.7): [0.93, 0.95, 0.92],
    ("random", 0.9): [0.80, 0.82, 0.84],
    ("emp", 0.9): [0.81, 0.80, 0.85],
}
"""(policy, rate) → accuracy of seeds 0, 1, 2."""


def made(policy="emp", rate=0.7, seed=0, accuracy=0.9, **changes) -> Result:
    """One result; fields that a test does not name are plausible."""
    samples = 3000 if policy == "full" else round(3000 * (1 - rate))
    fields = {
        "data": "digits", "model": "mlp", "split": "test", "label_noise": 0.0, "policy": policy,
        "policy_settings": {}, "prune_rate": rate, "realised_rate": rate, "seed": seed, "epochs": 3,
        "num_samples": 1000, "samples_forward": samples, "samples_backward": samples,
        "optimizer_steps": samples // 10, "metric": "accuracy", "accuracy": accuracy, "remembered": 0.9 + seed / 100,
        "remembered_true": 0.8, "seconds": {"total": 4.0, "train": 3.0 + seed, "select": 0.01, "evaluate": 0.5},
        "history": [], "recipe": dataclasses.asdict(recipe_for("digits")), "anneal": 0.0, "budget": "epoch",
        "device": "a machine", "versions": {"emprune": "0.1.0"}, "git_commit": "abc", "command": "emprune compare",
        "run_id": f"{policy}-{rate:g}-{seed}-{changes.get('label_noise', 0)}",
    }  # fmt: skip
    return Result(**{**fields, **changes})


def comparison(seeds=3, **changes) -> list[Result]:
    """A comparison of three policies at two rates."""
    return [
        made(policy, rate, seed, values[seed], **changes)
        for (policy, rate), values in ACCURACY.items()
        for seed in range(seeds)
    ]
