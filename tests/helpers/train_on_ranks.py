"""Runs of the lab on the ranks that torchrun started; called by test_torchrun.py, never by pytest.

train_on_ranks.py FOLDER               every spec of SPECS, one JSON file in FOLDER with what became of each
train_on_ranks.py SECONDS ARGUMENTS    the command line, with a checkpoint every so many seconds
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import torch

from emprune.errors import ArgumentError, DataError
from emprune_lab.cli import main
from emprune_lab.runs import runner
from emprune_lab.runs.parallel import Ranks
from emprune_lab.runs.torchrun import launched
from emprune_lab.runs.training import Training
from emprune_lab.specs.recipe import recipe_for
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import training_data

RECIPE = dataclasses.replace(recipe_for("digits"), epochs=3, shift=1)


def spec(policy, **changes):
    """A last batch of 7 samples, which two ranks cannot share evenly."""
    return RunSpec("digits", policy, 0.7, 0, dataclasses.replace(RECIPE, **changes))


SPECS = {
    "random": spec("random"),
    "emp": spec("emp"),
    "weighted": spec("infobatch"),
    "clipped": spec("random", clip_norm=0.5),
    "hidden observed": spec("kakurenbo"),
    "no steps known": spec("seta"),
    "one sample left": spec("random", train_size=1001, batch_size=50),
    "within batches": spec("selective-backprop"),
    "within batches, few": dataclasses.replace(spec("divbs"), prune_rate=0.98),
    "within batches, annealed": dataclasses.replace(spec("divbs"), anneal=0.67, prune_rate=0.5),
    "batch norm": spec("random", model="cnn"),
    "batch norm, hidden observed": spec("kakurenbo", model="cnn", epochs=2),
}


KILLED = RunSpec("digits", "kakurenbo", 0.7, 0, dataclasses.replace(recipe_for("digits"), model="cnn", epochs=8))
"""Evaluates in every epoch, on all ranks, a model with running statistics."""


def trained(spec: RunSpec, ranks: Ranks) -> dict[str, object]:
    """Train a spec; what decides whether two runs are the same."""
    training, plans = Training(spec, training_data(spec), ranks=ranks), []
    hidden = np.empty(0, dtype=np.int64)

    def after_step() -> None:
        nonlocal hidden
        hidden = training.pruner.plan.pruned_ids
        plans.append([training.pruner.plan.digest, training.optimizer.param_groups[0]["lr"]])

    training.epochs(after_step)
    weights = torch.cat([one.detach().flatten() for one in training.model.parameters()])
    report, found = training.pruner.report(), training.task.evaluate_train()
    return {
        "plans": plans,
        "weights": weights.tolist(),
        "history": [[entry[name] for name in ("kept", "loss", "accuracy")] for entry in training.history],
        "times_trained": training.pruner.table.times_trained.tolist(),
        "backward": report.samples_backward,
        "steps": report.steps,
        "accuracy": training.task.evaluate_test()["accuracy"],
        "remembered": float(np.mean(found.right)),
        # What the last epoch's end observed, and what the finished model says of the same samples here.
        "hidden": [column[hidden].tolist() for column in (training.pruner.table.loss, found.loss)],
    }


def errors(ranks: Ranks) -> list[str]:
    """What each rank is told of errors that only rank 0 has met."""

    def fails(error: Exception) -> None:
        if not ranks.first:
            raise AssertionError("only rank 0 does it")
        raise error

    told = []
    for error in (ArgumentError("seed", -1, "at least 0"), DataError("it is damaged"), FileNotFoundError(2, "gone")):
        try:
            ranks.from_first(lambda error=error: fails(error))
        except type(error) as heard:
            told.append(f"{type(heard).__name__}: {heard}")
    return told


def train_all(folder: Path) -> None:
    with launched() as launch:
        ranks = launch.join("cpu")
        torch.set_num_threads(1)
        found = {name: trained(one, ranks) for name, one in SPECS.items()}
        (folder / f"rank{ranks.rank}.json").write_text(json.dumps(found))
        for one in (spec("el2n"), KILLED):
            runner.run(one, folder / "runs" / one.run_id, ranks=ranks)
        (folder / f"errors{ranks.rank}").write_text("\n".join(errors(ranks)))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        train_all(Path(sys.argv[1]))
    else:
        runner._SECONDS_BETWEEN_CHECKPOINTS = float(sys.argv[1])
        raise SystemExit(main(sys.argv[2:]))
