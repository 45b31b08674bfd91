"""The policy of a static label: a scoring run first where its scores are not stored yet, then a fixed subset."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch

from emprune import Policy
from emprune.errors import ArgumentError
from emprune_lab.data import LabelledData
from emprune_lab.runs.training import Training
from emprune_lab.specs.spec import RunSpec, most_kept, parse_policy
from emprune_lab.subsets import static
from emprune_lab.subsets.scoring_run import Cost, Scored, ScoringRun, scoring_epochs
from emprune_lab.tasks import Data, Scores
from emprune_lab.tasks.classification import ClassificationTask


def static_policy(
    spec: RunSpec, data: Data, folder: Path, device: str, after_step: Callable[[], None]
) -> tuple[Policy | None, Cost]:
    """The policy of a static label, and what its scores took; None for any other label.

    Args:
        data: what the run trains on. folder: where the runs of a comparison share their scores.
        after_step: called between the steps of the scoring run; may raise to stop, and it begins anew next time.

    Raises:
        ArgumentError: the task is no classification, in whose logits and labels static scores are defined.
    """
    name, settings = parse_policy(spec.policy)
    if name not in static.LABELS:
        return None, Cost()
    if not isinstance(data, LabelledData):
        raise ArgumentError("policy", name, f"one that needs no class labels: {spec.data} has none")
    short = dataclasses.replace(spec.recipe, epochs=scoring_epochs(spec.recipe.epochs))
    scoring_spec = dataclasses.replace(
        spec, policy="full", prune_rate=0.0, anneal=0.0, budget="epoch", recipe=short, data_dir=None
    )  # fmt: skip
    needs = static.needs_of(name, settings)
    stored = static.scores_for(
        needs, folder, dataclasses.asdict(scoring_spec) | {"recipe": short.as_dict()},
        lambda asked: _collect(scoring_spec, data, device, asked, after_step),
    )  # fmt: skip
    policy = static.policy_for(
        name, stored, data.labels.numpy(), k=most_kept(spec, len(data)), seed=spec.seed, settings=settings
    )  # fmt: skip
    return policy, stored.cost(needs)


def _collect(spec: RunSpec, data: LabelledData, device: str, asked: set[str], after_step: Callable[[], None]) -> Scored:
    watcher = ScoringRun(len(data), device)

    def watch(ids: torch.Tensor, scores: Scores) -> None:
        if scores.logits is not None and scores.labels is not None:
            watcher.after_step(ids, scores.logits, scores.labels)

    training = Training(spec, data, device, watch=watch)
    task = training.task
    if not isinstance(task, ClassificationTask):
        raise ArgumentError("policy", "a static one", f"another: {spec.data} is no classification")
    if "grand" in asked and not task.per_sample_gradients:
        raise ArgumentError("policy", "grand", "another, such as grand-last-layer: this model has no gradient a sample")
    training.epochs(after_step)
    return watcher.finish(
        task.model, task.in_order(), with_grand="grand" in asked, with_features="features" in asked,
        seconds_training=training.seconds,
    )  # fmt: skip
