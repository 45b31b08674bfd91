"""Runs on Fashion-MNIST with wrong labels, and what each leaves behind: its score table, and outputs of its model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emprune.checkpoint import atomic_write
from emprune.seeding import generator
from emprune_lab.data import LabelledData, Split
from emprune_lab.runs.training import Training
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import build_task, recipe_for, training_data
from emprune_lab.tasks.base import Scores
from emprune_lab.tasks.classification import ClassificationTask

NOISE, FOLDS = 0.1, 3
RUNS = {"emp-gated": 0.7, "emp-gated:floor=0.3": 0.7, "full": 0.0}
"""Policies with their prune rates: the default, the default as it was when most was measured, and full data."""


def spec_of(policy: str, seed: int) -> RunSpec:
    """A run: on the published training set up to seed 299, from 300 on without the validation split."""
    split: Split = "test" if seed < 300 else "validation"
    recipe = recipe_for("fashion-mnist")
    return RunSpec("fashion-mnist", policy, RUNS[policy], seed, recipe, split=split, label_noise=NOISE)


def trained(spec: RunSpec, data: LabelledData) -> tuple[Training, dict[str, NDArray[Any]]]:
    """A finished run, and every loss and memory term that it saw, float16 of shape [E, N], NaN where there is none."""
    seen = {name: np.full((spec.recipe.epochs, len(data)), np.nan, np.float16) for name in ("losses", "memories")}

    def watch(ids: torch.Tensor, scores: Scores) -> None:
        seen["losses"][training.pruner.epoch, ids] = scores.loss.detach().numpy()
        seen["memories"][training.pruner.epoch, ids] = scores.memory.detach().numpy()

    training = Training(spec, data, watch=watch)
    training.epochs(lambda: None)
    return training, seen


@torch.no_grad()
def probabilities(training: Training, spec: RunSpec, data: LabelledData) -> NDArray[np.float32]:
    """float32 [N, C]: what a trained model predicts for the inputs of a set, not augmented."""
    task = build_task(spec, data, torch.device("cpu"))
    assert isinstance(task, ClassificationTask)
    task.model.load_state_dict(training.model.state_dict())
    task.model.eval()
    return torch.cat([task.network.forward(inputs)[1].softmax(1) for inputs, _ in task.in_order()]).numpy()


def own(policy: str, seed: int) -> dict[str, NDArray[Any]]:
    """The run itself: what was seen, the score table at its end, and the model's in-sample outputs."""
    spec = spec_of(policy, seed)
    data = training_data(spec)
    assert isinstance(data, LabelledData)
    training, seen = trained(spec, data)
    table = training.pruner.table
    columns = {name: np.array(getattr(table, name)) for name in ("loss", "memory", "last_seen", "times_trained")}
    labels, true = data.labels.numpy(), data.true_labels.numpy()
    outputs = probabilities(training, spec, data)
    accuracy = np.array(training.task.evaluate_test()["accuracy"])
    return {**columns, **seen, "labels": labels, "true": true, "in_sample": outputs, "accuracy": accuracy}


def fold(policy: str, seed: int, number: int) -> dict[str, NDArray[Any]]:
    """The same run on all but one of the folds, and its outputs on that one."""
    spec = spec_of(policy, seed)
    data = training_data(spec)
    assert isinstance(data, LabelledData)
    order = generator(seed, 0, "folds").permutation(len(data))
    held = np.sort(order[number::FOLDS])
    kept = np.setdiff1d(np.arange(len(data)), held)
    training, _ = trained(spec, part(data, kept))
    return {"ids": held, "outputs": probabilities(training, spec, part(data, held))}


def part(data: LabelledData, ids: NDArray[np.int64]) -> LabelledData:
    """Some of the training samples."""
    rows = torch.from_numpy(ids)
    return dataclasses.replace(
        data, inputs=data.inputs[rows], labels=data.labels[rows], true_labels=data.true_labels[rows]
    )


def stored(folder: Path, policy: str, seed: int, number: int | None = None) -> dict[str, NDArray[Any]]:
    """The outcome of :func:`own`, or of :func:`fold` where a number is given; trained where the folder lacks it."""
    path = folder / (f"{policy}-{seed}" + ("" if number is None else f"-fold{number}") + ".npz")
    if not path.exists():
        made = own(policy, seed) if number is None else fold(policy, seed, number)
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(path, lambda new: _save(new, made))
    with np.load(path) as file:
        return dict(file)


def _save(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def out_of_sample(folder: Path, policy: str, seed: int) -> NDArray[np.float32]:
    """float32 [N, C]: the outputs of all folds."""
    folds = [stored(folder, policy, seed, number) for number in range(FOLDS)]
    outputs = np.concatenate([one["outputs"] for one in folds])
    return outputs[np.argsort(np.concatenate([one["ids"] for one in folds]))]
