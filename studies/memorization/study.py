"""The study's settings, and its models: trained once, kept in the study's folder, read from there afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from studies.memorization.estimate import check_subsets
from studies.memorization.store import Arrays, claim, kept
from studies.memorization.training import Setup, Task, evaluate, tasks_of, train, train_subsets
from torch import nn

from emprune import Pruner, get_policy
from emprune.errors import ArgumentError
from emprune.seeding import generator
from emprune_lab.data import LabelledData, load, with_label_noise

SETUPS = {
    "digits": Setup(model="mlp", epochs=30, batch_size=32, max_lr=0.1),
    # Not augmented as the lab's recipe is: with shifts, this network memorises next to nothing of 4,000 images.
    "fashion-mnist": Setup(model="cnn", epochs=20, batch_size=64, max_lr=0.05, pool=2, train_size=4000),
}
"""How the study trains on each data set."""

_GROUP = 25
_FIRST_SUBSET_SEED = 1000  # the ordinary runs have the seeds below


@dataclass(frozen=True)
class Study:
    """Everything that decides the numbers.

    Attributes:
        data: a data set of SETUPS. setup: how each model is trained.
        subset: fraction of the training set that a subset model sees, in (0, 1).
        models: M, subset models for each label noise. seeds: ordinary runs of each kind.
        label_noise: fractions of wrong labels, each a condition of its own; the wrong labels of a condition
            are the same for all its models.
        policies, prune_rates: of the pruned runs.
    """

    data: str
    setup: Setup
    subset: float = 0.7
    models: int = 400
    seeds: int = 5
    label_noise: tuple[float, ...] = (0.0, 0.2)
    policies: tuple[str, ...] = ("random", "lfl", "emp")
    prune_rates: tuple[float, ...] = (0.7, 0.9)
    data_dir: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.subset < 1:
            raise ArgumentError("subset", self.subset, "a number in (0, 1), the fraction trained on")
        if self.models < 4:
            raise ArgumentError("models", self.models, "an integer of at least 4, to compare halves")
        if not 1 <= self.seeds <= _FIRST_SUBSET_SEED:
            raise ArgumentError("seeds", self.seeds, f"an integer from 1 to {_FIRST_SUBSET_SEED}")

    @property
    def identity(self) -> dict[str, Any]:
        """What a folder's models have in common: more models, seeds, policies or rates can join them."""
        return {"data": self.data, "setup": dataclasses.asdict(self.setup), "subset": self.subset}


@dataclass(frozen=True)
class Condition:
    """One label noise of a study, with every model trained.

    Attributes:
        label_noise: fraction of wrong labels. mislabelled: bool, shape [N].
        inside: bool, shape [M, N], whether subset model m was trained on sample n.
        predicted: int8, shape [M, N]. subset_loss: float32, shape [M, N], nats. labels: int64, shape [N].
        runs: (policy, prune rate) → one dictionary a seed with times_trained int32 [N], correct bool [N],
            test_accuracy []; those of "full" also with the traces loss, entropy, seen_loss and seen_entropy,
            float32 [E, N]: evaluated after each epoch, and as the pruner saw them while training.
    """

    label_noise: float
    mislabelled: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    predicted: NDArray[np.int8]
    subset_loss: NDArray[np.float32]
    labels: NDArray[np.int64]
    runs: dict[tuple[str, float], list[Arrays]]


def work_off(study: Study, folder: Path, tell: Callable[[str], None]) -> tuple[list[Condition], dict[str, Any]]:
    """Train what the folder lacks and read the rest.

    Returns:
        The conditions, and where the folder's first models come from: commit, machine, versions.

    Raises:
        DataError: the folder belongs to a study with other settings, or a file is damaged.
        ArgumentError: so few models that a sample is in all their subsets or in none.
    """
    origin = claim(folder, study.identity)
    data = load(study.data, study.data_dir, train_size=study.setup.train_size)
    check_subsets(_inside(len(data), study.subset, range(study.models)))  # before hours of training
    return [_condition(study, data, noise, folder / f"noise-{noise:g}", tell) for noise in study.label_noise], origin


def subsets_of(num_samples: int, fraction: float, models: range) -> NDArray[np.int64]:
    """The subsets of some models, each drawn uniformly: ids in increasing order, int64, shape [G, K].

    A subset depends on its model's number alone, so that a study can grow.
    """
    count = round(fraction * num_samples)
    if not 0 < count < num_samples:
        raise ArgumentError("subset", fraction, f"a fraction that leaves some of {num_samples} samples in and out")
    drawn = [generator(model, 0, "memorisation subset").permutation(num_samples)[:count] for model in models]
    return np.sort(np.stack(drawn), axis=1)


def _inside(num_samples: int, fraction: float, models: range) -> NDArray[np.bool_]:
    """Which samples are in which model's subset: bool, shape [G, N]."""
    inside = np.zeros((len(models), num_samples), dtype=bool)
    np.put_along_axis(inside, subsets_of(num_samples, fraction, models), True, axis=1)
    return inside


def _condition(study: Study, data: LabelledData, noise: float, folder: Path, tell: Callable[[str], None]) -> Condition:
    data = with_label_noise(data, noise, seed=0)
    task, test = tasks_of(data, study.setup.pool)
    parts = []
    for first in range(0, study.models, _GROUP):
        numbers = range(first, min(first + _GROUP, study.models))
        path = folder / f"subsets-{numbers[0]:04d}-{numbers[-1]:04d}.npz"
        parts.append(kept(path, partial(_subset_group, study, task, numbers), tell))
    return Condition(
        label_noise=noise,
        mislabelled=(data.labels != data.true_labels).numpy(),
        inside=np.concatenate([part["inside"] for part in parts]),
        predicted=np.concatenate([part["predicted"] for part in parts]),
        subset_loss=np.concatenate([part["loss"] for part in parts]),
        labels=data.labels.numpy(),
        runs=_runs(study, task, test, folder, tell),
    )


def _subset_group(study: Study, task: Task, models: range) -> Arrays:
    subsets = subsets_of(len(task.labels), study.subset, models)
    outcome = train_subsets(task, study.setup, subsets, [_FIRST_SUBSET_SEED + model for model in models])
    inside = _inside(len(task.labels), study.subset, models)
    return {"inside": inside, "predicted": outcome.predicted, "loss": outcome.loss}


def _runs(
    study: Study, task: Task, test: Task, folder: Path, tell: Callable[[str], None]
) -> dict[tuple[str, float], list[Arrays]]:
    kinds = [("full", 0.0)] + [(policy, rate) for rate in study.prune_rates for policy in study.policies]
    runs: dict[tuple[str, float], list[Arrays]] = {}
    for policy, rate in kinds:
        runs[policy, rate] = [
            kept(
                folder / f"{policy}-r{rate:g}-s{seed}.npz",
                partial(ordinary_run, study.setup, task, test, policy, rate, seed),
                tell,
            )
            for seed in range(study.seeds)
        ]
    return runs


def ordinary_run(setup: Setup, task: Task, test: Task, policy: str, rate: float, seed: int) -> Arrays:
    """One run on the whole training set through a pruner; see :class:`Condition` for what it gives."""
    pruner = Pruner(len(task.labels), get_policy(policy), prune_rate=rate, num_epochs=setup.epochs, seed=seed)
    traces: dict[str, list[NDArray[np.float32]]] = {}

    def record(model: nn.Module) -> None:
        after = evaluate(model, task)
        entry = {
            "loss": after.loss,
            "entropy": after.entropy,
            "seen_loss": pruner.table.loss.copy(),
            "seen_entropy": pruner.table.memory.copy(),
        }
        for name, values in entry.items():
            traces.setdefault(name, []).append(values)

    model = train(task, setup, pruner, record if policy == "full" else lambda model: None)
    return {
        "times_trained": pruner.table.times_trained.copy(),
        "correct": evaluate(model, task).predicted == task.labels.numpy(),
        "test_accuracy": np.array(_accuracy(model, test)),
        **{name: np.stack(values) for name, values in traces.items()},
    }


def _accuracy(model: nn.Module, test: Task) -> float:
    return float(np.mean(evaluate(model, test).predicted == test.labels.numpy()))
