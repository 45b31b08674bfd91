"""Results made by hand, for tests that need no training, and whether a figure of them shows anything."""

from __future__ import annotations

import io
import itertools

import numpy as np
from PIL import Image

from emprune_lab.records.results import Result
from emprune_lab.report.comparison import Comparison
from emprune_lab.report.statistics import by_cell, summarise
from emprune_lab.report.style import png
from emprune_lab.tasks import recipe_for

ACCURACY = {
    ("full", 0.0): [0.95, 0.96, 0.97],
    ("random", 0.7): [0.90, 0.92, 0.91],
    ("lfl", 0.7): [0.88, 0.899, 0.889],
    ("emp", 0.7): [0.93, 0.952, 0.942],
    ("random", 0.9): [0.80, 0.82, 0.84],
    ("emp", 0.9): [0.81, 0.80, 0.85],
}
"""(policy, rate) → accuracy of seeds 0, 1, 2."""
BITS = {
    ("full", 0.0): [1.50, 1.52, 1.51],
    ("random", 0.7): [1.90, 1.92, 1.91],
    ("lfl", 0.7): [2.10, 2.13, 2.12],
    ("emp", 0.7): [1.80, 1.81, 1.82],
    ("infobatch", 0.7): [1.95, 1.90, 1.88],
}
"""The same of a metric of which lower is better."""


def made(policy="emp", rate=0.7, seed=0, accuracy=0.9, **changes) -> Result:
    """One result; fields that a test does not name are plausible."""
    samples = 3000 if policy == "full" else round(3000 * (1 - rate))
    fields = {
        "data": "digits", "model": "mlp", "split": "test", "label_noise": 0.0, "policy": policy,
        "policy_settings": {}, "prune_rate": rate, "realised_rate": rate, "seed": seed, "epochs": 3,
        "num_samples": 1000, "samples_forward": samples, "samples_backward": samples,
        "optimizer_steps": samples // 10, "metric": "accuracy", "accuracy": accuracy, "remembered": 0.9 + seed / 100,
        "remembered_true": 0.8, "seconds": {"total": 4.0, "train": 3.0 + seed, "select": 0.01, "evaluate": 0.5},
        "history": [], "recipe": recipe_for("digits").as_dict(), "anneal": 0.0, "budget": "epoch",
        "device": "a machine", "versions": {"emprune": "0.1.0"}, "git_commit": "abc", "command": "emprune compare",
        "run_id": f"{policy}-{rate:g}-{seed}-{sorted(changes.items(), key=str)}",
    }  # fmt: skip
    return Result(**{**fields, **changes})


def many_policies(seeds=2, rates=(0.7, 0.9)) -> list[Result]:
    """Twenty policies: of one budget, in-batch, of budgets of their own, static, and one that collapses."""
    names = [
        "short", "random", "rs2", "lfl", "epsilon-greedy", "ucb", "infobatch", "seta", "orderdp", "repb", "divbs",
        "emp", "emp:beta=2", "static-random", "el2n", "grand", "forgetting", "margin", "mine",
    ]  # fmt: skip
    runs = [made("full", 0.0, seed, 0.95 + seed / 1000) for seed in range(seeds)]
    for seed, rate in itertools.product(range(seeds), rates):
        for place, name in enumerate(names):
            accuracy = 0.1 if (name, rate) == ("lfl", 0.9) else 0.97 - rate / 10 + place / 1000 + seed / 500
            forward = {"samples_forward": 4000} if name == "divbs" else {}
            runs.append(made(name, rate, seed, accuracy, **forward))
        runs.append(made_own("infobatch-published", rate, seed))
    return runs


def made_own(policy, rate, seed, samples=1500) -> Result:
    """A run of a policy that decides itself how many samples it trains."""
    return made(policy, rate, seed, 0.9, samples_backward=samples, realised_rate=1 - samples / 3000)


def comparison(seeds=3, **changes) -> list[Result]:
    """A comparison of three policies at two rates."""
    return [
        made(policy, rate, seed, values[seed], **changes)
        for (policy, rate), values in ACCURACY.items()
        for seed in range(seeds)
    ]


def compared(results, samples=None, **options) -> Comparison:
    """The comparison of one setting's results. samples: arrays by run_id."""
    return Comparison(summarise(results, **options), by_cell(results), samples or {})


def is_drawn(figure) -> bool:
    """Whether a figure renders to a PNG of the report's width with ink on it."""
    image = Image.open(io.BytesIO(png(figure))).convert("L")
    return image.width > 1000 and np.asarray(image).min() < 100


def bits():
    """Runs of a metric of which lower is better."""
    return [
        made(policy, rate, seed, values[seed], metric="bits per character")
        for (policy, rate), values in BITS.items()
        for seed in range(3)
    ]


def marks(axes, label):
    """Positions of the marks that a legend calls so."""
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return list(zip(*line.get_data(), strict=True))


def texts(figure):
    """What is written into a figure."""
    return [text.get_text() for axes in figure.axes for text in axes.texts]
