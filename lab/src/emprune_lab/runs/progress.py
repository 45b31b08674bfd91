"""Where a run stands, for whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass

from emprune_lab.runs.training import Training


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        epoch: from 0.
        epochs: of the run.
        kept: samples of this epoch.
        num_samples: N.
        step, total_steps: optimiser steps of the run, done and in all.
        loss: nats, accuracy: fraction right, both over this epoch's training batches so far; None where not known.
        samples_per_second: of training.
        seconds_saved: estimated for the whole run, against full data for the recipe's epochs.
    """

    epoch: int
    epochs: int
    kept: int
    num_samples: int
    step: int
    total_steps: int
    loss: float
    accuracy: float | None
    samples_per_second: float
    seconds_saved: float


def progress_of(training: Training) -> Progress:
    """Where the run stands."""
    pruner, done = training.pruner, training.pruner.report()
    speed = done.samples_backward / max(training.seconds, 1e-9)
    spared = pruner.num_samples * training.spec.recipe.epochs - sum(pruner.kept)
    epoch = min(pruner.epoch, pruner.num_epochs - 1)
    entry = training.latest_entry
    return Progress(
        epoch=epoch,
        epochs=pruner.num_epochs,
        kept=pruner.kept[epoch],
        num_samples=pruner.num_samples,
        step=done.steps,
        total_steps=training.learning_rate.total_steps,
        loss=entry["loss"],
        accuracy=entry["accuracy"],
        samples_per_second=speed,
        seconds_saved=spared / max(speed, 1e-9),
    )
