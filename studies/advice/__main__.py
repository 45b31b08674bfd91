"""Watch ordinary runs for a fifth of their epochs and write what is advised: ``python -m studies.advice``.

    python -m studies.advice                # trains what runs.json lacks, then writes table.md

Data as for ``emprune compare``: EMPRUNE_DATA names the folder that holds CoLA.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from studies.run_lists import origin, read_runs, write_runs

from emprune import Pruner, advise
from emprune_lab.runs.interrupted import Interrupted
from emprune_lab.runs.training import Training
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import recipe_for, training_data
from emprune_lab.tasks.classification import ClassificationTask

FOLDER = Path(__file__).parent
SETTINGS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "Fashion-MNIST, 20,000 images": ("fashion-mnist", {}),
    "Fashion-MNIST, 1,000 images": ("fashion-mnist", {"train_size": 1000}),
    "CoLA": ("cola", {"precision": "bfloat16"}),
}
SEEDS = (0, 1, 2)
_HELD_OUT = 1000


def watch(data_name: str, changes: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train a fifth of an ordinary run on all data; the advice then. Held out: a part of the validation split."""
    recipe = recipe_for(data_name).changed(**changes)
    spec = RunSpec(data_name, "full", 0.0, seed, recipe, split="validation")
    data = training_data(spec)
    training = Training(spec, data, pruner=Pruner(len(data), prune_rate=0, num_epochs=recipe.epochs, seed=seed))
    task, pruner, begun = training.task, training.pruner, {-1}
    assert isinstance(task, ClassificationTask)
    stop = max(2, round(recipe.epochs / 5))

    def after_step() -> None:
        if pruner.epoch == stop:
            raise Interrupted(spec.run_id)
        if pruner.epoch not in begun:
            begun.add(pruner.epoch)
            with torch.no_grad():
                pruner.observe_held_out(task.forward(task.held_out_batch(_HELD_OUT, pruner.epoch)).loss)

    with contextlib.suppress(Interrupted):
        training.epochs(after_step)
    return dataclasses.asdict(advise(pruner))


def complete(path: Path, console: Console) -> list[dict[str, Any]]:
    """Train what the file lacks, each run written when it ends; returns all."""
    runs = read_runs(path)
    done = {(run["setting"], run["seed"]) for run in runs}
    made = origin()
    for name, (data, changes) in SETTINGS.items():
        for seed in SEEDS:
            if (name, seed) not in done:
                runs.append({"setting": name, "seed": seed, **watch(data, changes, seed), **made})
                write_runs(path, runs)
                console.print(f"{name} seed {seed}: {runs[-1]['prune_rate']}", highlight=False)
    return runs


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a row a run."""
    lines = [
        "| data | seed | epochs watched | gap | reliability | exponent | effective part | advised rate | saved |",
        "| :--- |" + " ---: |" * 8,
    ]
    lines += [
        f"| {run['setting']} | {run['seed']} | {run['epochs']} of {run['num_epochs']} | {run['gap']:.2f} ± "
        f"{run['gap_error']:.2f} | {run['reliability']:.2f} | {run['gamma']:.1f} | {run['informative']:.2f} | "
        f"{run['prune_rate']:.1f} | {run['saved']:.0%} |"
        for run in runs
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    torch.set_num_threads(1)
    (FOLDER / "table.md").write_text(table(complete(FOLDER / "runs.json", Console())), encoding="utf-8")
