"""The search behind the default policy, on validation splits and on seeds that nothing reports.

python -m studies.gate.search           # trains what search.json lacks, then writes search.md and ablation.png; an hour
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from studies.gate.ablation import figure_png
from studies.gate.variants import built
from studies.run_lists import origin, read_runs, write_runs

from emprune_lab.report.formats import format_difference, format_mean
from emprune_lab.report.intervals import mean, paired_difference
from emprune_lab.runs.training import Training
from emprune_lab.specs.recipe import Recipe
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import recipe_for, training_data

FOLDER = Path(__file__).parent
FIRST_SEED = 300


@dataclass(frozen=True)
class Setting:
    """Where variants are tried: data, changes to its recipe, prune rate, wrong labels, seeds, part annealed."""

    data: str
    recipe: tuple[tuple[str, Any], ...]
    prune_rate: float
    label_noise: float
    seeds: int
    anneal: float = 0.0

    def spec(self, seed: int) -> RunSpec:
        recipe: Recipe = recipe_for(self.data).changed(**dict(self.recipe))
        return RunSpec(
            self.data, "emp", self.prune_rate, seed, recipe, split="validation", label_noise=self.label_noise,
            anneal=self.anneal,
        )  # fmt: skip


_IMAGES = (("train_size", 10_000), ("epochs", 50))
_CNN = (("model", "cnn"),)
_LEARNT_BY_HEART = (("train_size", 3_000), ("epochs", 100), ("shift", 0), ("label_smoothing", 0.1))
SETTINGS = {
    "Fashion-MNIST, 3,000 images as they are, label smoothing, 0.7": Setting(
        "fashion-mnist", _LEARNT_BY_HEART, 0.7, 0.0, 10, anneal=0.125
    ),
    "Fashion-MNIST, 20,000 images, 0.7": Setting("fashion-mnist", (), 0.7, 0.0, 4),
    "Fashion-MNIST, 10,000 images, 0.9": Setting("fashion-mnist", _IMAGES, 0.9, 0.0, 4),
    "digits, CNN, 20 % wrong labels, 0.7": Setting("digits", _CNN, 0.7, 0.2, 16),
    "digits, MLP, 0.9": Setting("digits", (), 0.9, 0.0, 16),
    "digits, CNN, 0.9": Setting("digits", _CNN, 0.9, 0.0, 16),
    "Fashion-MNIST, 10,000 images, 20 % wrong labels, 0.9": Setting("fashion-mnist", _IMAGES, 0.9, 0.2, 4),
}
VARIANTS = (
    "random", "rs2", "emp", "emp:gamma=0.5", "gate", "gate:drift=0", "gate:doubt=0.5", "gate:reserve=0.02",
)  # fmt: skip
EARLIER = ("fixed:floor=0.3", "fixed:ess=0.4", "fixed:clip=2.3")
"""Shown where they were trained before; no setting needed them again."""


def train(setting: Setting, variant: str, seed: int) -> dict[str, Any]:
    """One run: the metric on the validation split, and what was remembered, in percent."""
    spec = setting.spec(seed)
    training = Training(spec, training_data(spec), policy=built(variant))
    training.epochs(lambda: None)
    task = training.task
    return {
        "value": round(100 * task.evaluate_test()[task.metric], 4),
        "remembered": round(100 * float(task.evaluate_train().right.mean()), 4),
        "gamma": [round(entry["gamma"], 3) for entry in training.history if "gamma" in entry],
    }


def complete(path: Path, console: Console) -> list[dict[str, Any]]:
    """Train what the file lacks, each run written when it ends; returns all runs."""
    runs = read_runs(path)
    done = {(run["setting"], run["variant"], run["seed"]) for run in runs}
    made = origin()
    for name, setting in SETTINGS.items():
        for seed in range(FIRST_SEED, FIRST_SEED + setting.seeds):
            for variant in VARIANTS:
                if (name, variant, seed) not in done:
                    found = train(setting, variant, seed)
                    runs.append({"setting": name, "variant": variant, "seed": seed, **found, **made})
                    write_runs(path, runs)
                    console.print(f"{name}: {variant} seed {seed}: {found['value']:.2f}", highlight=False)
    return runs


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a row a variant, a column a setting: mean, and difference to random paired by seed."""
    lines = ["| variant | " + " | ".join(SETTINGS) + " |", "| :--- |" + " ---: |" * len(SETTINGS)]
    for variant in (*VARIANTS, *EARLIER):
        cells = [_cell(_by_seed(runs, name, variant), _by_seed(runs, name, "random")) for name in SETTINGS]
        lines.append(f"| {variant} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _by_seed(runs: Iterable[Mapping[str, Any]], setting: str, variant: str) -> dict[int, float]:
    return {run["seed"]: run["value"] for run in runs if (run["setting"], run["variant"]) == (setting, variant)}


def _cell(values: Mapping[int, float], random: Mapping[int, float]) -> str:
    seeds = sorted(values.keys() & random.keys())
    if not seeds:
        return "–"
    difference = paired_difference([values[seed] for seed in seeds], [random[seed] for seed in seeds])
    shown = format_mean(mean(list(values.values())))
    return shown if math.isclose(difference.value, 0) else f"{shown}, {format_difference(difference)}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = complete(FOLDER / "search.json", Console())
    (FOLDER / "search.md").write_text(table(found), encoding="utf-8")
    (FOLDER / "ablation.png").write_bytes(figure_png(found))
