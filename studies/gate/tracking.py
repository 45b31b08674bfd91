"""Does the policy see the generalisation gap of the present? One run, and the gap measured beside it.

python -m studies.gate.tracking DATA_DIR        # writes tracking.md; eight minutes

CIFAR-100, its first 5,000 images, ``resnet10-thin``, label smoothing 0.1, 100 epochs at a prune rate of 0.7, the
validation split. Before every tenth epoch 1,000 held-out images and 1,000 of the training set are forwarded as in a
training step: augmented, normalised by the batch, the same loss. "Before" is what version 0.2.0 made of the same
observations: weights that halve in a tenth of the run, and no lowest loss.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
import torch

from emprune.policies.generalisation import least_loss
from emprune.table import ScoreTable
from emprune_lab.runs.training import Training
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import preset_for, training_data
from emprune_lab.tasks.classification import ClassificationTask

FOLDER = Path(__file__).parent
SEED, EVERY, IMAGES = 400, 10, 1000
HEAD = """| epoch | H | S | m | gap measured | seen by the policy | seen before | γ |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def training(data_dir: str) -> Training:
    recipe = preset_for("cifar100", "cpu").recipe.changed(
        precision="bfloat16", train_size=5_000, epochs=100, label_smoothing=0.1
    )
    spec = RunSpec("cifar100", "emp-gated", 0.7, SEED, recipe, split="validation", data_dir=data_dir)
    return Training(spec, training_data(spec))


def measured(run: Training) -> tuple[float, float]:
    """Mean losses of held-out images and of the training set, as steps of the running epoch would find them."""
    task, epoch, before = run.task, run.pruner.epoch, copy.deepcopy(run.model.state_dict())
    if not isinstance(task, ClassificationTask):
        raise TypeError(task)
    ids = torch.from_numpy(np.random.default_rng(epoch).choice(run.pruner.num_samples, IMAGES, replace=False))
    with torch.no_grad():
        batches = task.held_out_batch(IMAGES, epoch), task.batch(ids, epoch, 0)
        held_out, trained = (float(task.forward(batch).loss.mean()) for batch in batches)
    run.model.load_state_dict(before)
    return held_out, trained


def seen_before(table: ScoreTable, epoch: int, num_epochs: int) -> float:
    """The gap as version 0.2.0 had it."""
    first, first_loss, again, again_loss = (
        table.history(name)[:epoch] for name in ("first", "first_loss", "again", "again_loss")
    )
    usable = (first > 0) & (again > 0)
    weights = (first * 0.5 ** (np.arange(epoch, 0, -1) / (0.1 * num_epochs)))[usable]
    held_out, trained = (
        np.average(losses[usable] / counts[usable], weights=weights)
        for losses, counts in ((first_loss, first), (again_loss, again))
    )
    return float(1 - trained / held_out)


def row(run: Training) -> str:
    table, epoch = run.pruner.table, run.pruner.epoch
    (held_out, trained), least = measured(run), least_loss(table)
    gap, error, gamma = (float(table.history(name)[epoch]) for name in ("gap", "gap_error", "gamma"))
    return (
        f"| {epoch} | {held_out:.2f} | {trained:.2f} | {least:.2f} | {(held_out - trained) / (held_out - least):.2f} | "
        f"{gap:.2f} ± {error:.2f} | {seen_before(table, epoch, run.pruner.num_epochs):.2f} | {gamma:.1f} |"
    )


def main(data_dir: str) -> None:
    torch.set_num_threads(1)
    run, rows = training(data_dir), {}

    def look() -> None:
        epoch = run.pruner.epoch
        if epoch and epoch % EVERY == 0 and epoch not in rows:
            rows[epoch] = row(run)
            print(rows[epoch], flush=True)

    run.epochs(look)
    (FOLDER / "tracking.md").write_text(HEAD + "\n".join(rows.values()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
