"""The policy of a static label: a scoring run first where its scores are not stored yet, then a fixed subset."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from emprune import Policy
from emprune.lab import static
from emprune.lab.data import ImageData
from emprune.lab.evaluate import EVALUATION_BATCH
from emprune.lab.scoring_run import Cost, Scored, ScoringRun, scoring_epochs
from emprune.lab.spec import RunSpec, most_kept, parse_policy
from emprune.lab.training import Training


def static_policy(
    spec: RunSpec, data: ImageData, folder: Path, device: str, after_step: Callable[[], None]
) -> tuple[Policy | None, Cost]:
    """The policy of a static label, and what its scores took; None for any other label.

    Args:
        data: what the run trains on. folder: where the runs of a comparison share their scores.
        after_step: called between the steps of the scoring run; may raise to stop, and it begins anew next time.
    """
    name, settings = parse_policy(spec.policy)
    if name not in static.LABELS:
        return None, Cost()
    short = dataclasses.replace(spec.recipe, epochs=scoring_epochs(spec.recipe.epochs))
    scoring_spec = dataclasses.replace(
        spec, policy="full", prune_rate=0.0, anneal=0.0, budget="epoch", recipe=short, data_dir=None
    )  # fmt: skip
    needs = static.needs_of(name, settings)
    stored = static.scores_for(
        needs, folder, dataclasses.asdict(scoring_spec),
        lambda asked: _collect(scoring_spec, data, device, asked, after_step),
    )  # fmt: skip
    policy = static.policy_for(
        name, stored, data.labels.numpy(), k=most_kept(spec, len(data)), seed=spec.seed, settings=settings
    )  # fmt: skip
    return policy, stored.cost(needs)


def _collect(spec: RunSpec, data: ImageData, device: str, asked: set[str], after_step: Callable[[], None]) -> Scored:
    watcher = ScoringRun(len(data), device)
    training = Training(spec, data, device, watch=watcher.after_step)
    training.epochs(after_step)
    return watcher.finish(
        training.model, _in_order(training), with_grand="grand" in asked, with_features="features" in asked,
        seconds_training=training.seconds,
    )  # fmt: skip


def _in_order(training: Training) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """All training samples without augmentation."""
    for begin in range(0, len(training.images), EVALUATION_BATCH):
        part = slice(begin, begin + EVALUATION_BATCH)
        yield training.images[part], training.labels[part]
