"""One run of the study: a stream pruned inside its batches, or a data set pruned by its score table."""

from __future__ import annotations

import time
from typing import Any

import torch

from emprune import BatchPruner, Policy, Pruner, get_policy
from emprune.seeding import generator
from emprune_lab.runs.learning_rate import LearningRate
from emprune_lab.runs.optimizers import build_optimizer
from emprune_lab.runs.training import Training
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import Task, build_task, training_data

Numbers = dict[str, Any]


def by_table(spec: RunSpec) -> Numbers:
    """The laboratory's run of a spec."""
    training = Training(spec, training_data(spec))
    training.epochs(lambda: None)
    report = training.pruner.report()
    return {
        **_measured(training.task),
        "samples_backward": report.samples_backward,
        "samples_forward": report.samples_forward,
        "steps": report.steps,
        "seconds": round(training.seconds + report.seconds_selecting, 1),
    }


def by_stream(spec: RunSpec, policy: str) -> Numbers:
    """The same run, but that its samples come as a shuffled stream, forwarded in large batches without gradient.

    Of each about ``batch_size`` samples are trained, so that steps, samples through backward, and learning rates are
    those of the run by table.
    """
    recipe, data = spec.recipe, training_data(spec)
    task = build_task(spec, data, torch.device("cpu"))
    pruner = BatchPruner(_policy(policy), prune_rate=spec.prune_rate, seed=spec.seed)
    optimizer = build_optimizer(recipe, task.model.parameters())
    known = Pruner(len(data), "random", prune_rate=spec.prune_rate, num_epochs=recipe.epochs, seed=spec.seed)
    learning_rate = LearningRate(optimizer, recipe, known)
    large, second = round(recipe.batch_size / (1 - spec.prune_rate)), 0
    task.model.train()
    began = time.perf_counter()
    for epoch in range(recipe.epochs):
        order = torch.from_numpy(generator(spec.seed, epoch, "order of a stream").permutation(len(data)))
        for step, ids in enumerate(order.split(large)):  # type: ignore[no-untyped-call]
            batch = task.batch(ids, epoch, step * large)
            with torch.no_grad():
                scores = task.forward(batch, pruner.policy.inputs)
            chosen = pruner.select(scores.loss, scores.memory, **scores.extra)
            assert chosen.positions is not None
            losses = task.forward(task.part(batch, chosen.positions)).loss
            second += len(losses)
            (losses if chosen.weights is None else losses * chosen.weights).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            learning_rate.after_step(step * large + len(ids))
    seconds = time.perf_counter() - began
    return {
        **_measured(task),
        "samples_backward": pruner.samples_backward,
        "samples_forward": pruner.samples_forward + second,
        "steps": pruner.batches,
        "seconds": round(seconds, 1),
    }


def _policy(label: str) -> Policy:
    name, *settings = label.split(":")
    return get_policy(name, **{key: float(value) for key, value in (setting.split("=") for setting in settings)})


def _measured(task: Task) -> Numbers:
    return {
        "value": round(100 * task.evaluate_test()[task.metric], 4),
        "remembered": round(100 * float(task.evaluate_train().right.mean()), 4),
    }
