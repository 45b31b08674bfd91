"""The scoring run of the static labels: a short run on all the data, watched step by step, then one pass over all."""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn

from emprune import Policy
from emprune.errors import ArgumentError
from emprune.scoring import classification
from emprune.scoring.forgetting import Forgetting
from emprune.scoring.static import el2n, grand, grand_last_layer, least_confidence, margin, wrong_margin
from emprune_lab.data import LabelledData
from emprune_lab.runs.training import Training
from emprune_lab.specs.spec import RunSpec, most_kept, parse_policy
from emprune_lab.subsets import static
from emprune_lab.subsets.stored import Cost, Scored, scores_for
from emprune_lab.tasks import Data
from emprune_lab.tasks.classification import ClassificationTask


def scoring_epochs(epochs: int) -> int:
    """Length of the scoring run of a recipe: a tenth of its epochs, at least 2."""
    return max(2, round(epochs / 10))


def static_policy(
    spec: RunSpec, data: Data, folder: Path, device: str, after_step: Callable[[], None]
) -> tuple[Policy | None, Cost]:
    """The policy of a static label, and what its scores took; None for any other label.

    Args:
        data: what the run trains on.
        folder: where the runs of a comparison share their scores.
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
    column = static.needs_of(name, settings)
    stored = scores_for(
        column, folder, dataclasses.asdict(scoring_spec) | {"recipe": short.as_dict()},
        lambda needed: _collect(scoring_spec, data, device, needed, after_step),
    )  # fmt: skip
    policy = static.policy_for(
        name, stored, data.labels.numpy(), k=most_kept(spec, len(data)), seed=spec.seed, settings=settings
    )  # fmt: skip
    return policy, stored.cost(column)


def _collect(
    spec: RunSpec, data: LabelledData, device: str, needed: set[str], after_step: Callable[[], None]
) -> Scored:
    run = ScoringRun(len(data), device)
    training = Training(
        spec, data, device, watch=lambda ids, scores: run.after_step(ids, scores.logits, scores.labels)  # type: ignore[arg-type]
    )  # fmt: skip
    task = training.task
    if not isinstance(task, ClassificationTask):
        raise ArgumentError("policy", "a static one", f"another: {spec.data} is no classification")
    if "grand" in needed and not task.per_sample_gradients:
        raise ArgumentError("policy", "grand", "another, such as grand-last-layer: this model has no gradient a sample")
    training.epochs(after_step)
    return run.finish(
        task.model, task.in_order(), with_grand="grand" in needed, with_features="features" in needed,
        seconds_training=training.seconds,
    )  # fmt: skip


class ScoringRun:
    """Watches a run: feed it every training step, and finish it with a pass over all samples.

    One run, where Paul et al. average EL2N and GraNd over ten; its learning-rate schedule is a whole one,
    shortened (as DeepCore's), and not the beginning of a long one (as Paul et al.'s).

    Args:
        num_samples: N.
        device: where the logits arrive.
    """

    def __init__(self, num_samples: int, device: str | torch.device = "cpu") -> None:
        self.forgetting = Forgetting(num_samples, device)
        self.wrong_margins = torch.zeros(num_samples, device=device)
        self.samples = 0

    def after_step(self, ids: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Record a training step, with the logits that its forward pass gave.

        Args:
            ids: int64, shape [B], distinct.
            logits: shape [B, C], on the device.
            labels: int64, shape [B], likewise.
        """
        self.forgetting.update(ids, logits.detach().argmax(dim=1) == labels)
        self.wrong_margins[ids.to(self.wrong_margins.device, non_blocking=True)] += wrong_margin(logits, labels)
        self.samples += len(ids)

    def finish(
        self,
        model: nn.Sequential,
        batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
        *,
        with_grand: bool = False,
        with_features: bool = False,
        seconds_training: float = 0.0,
    ) -> Scored:
        """Score every sample with the trained model, in evaluation mode; the mode is put back afterwards.

        Args:
            model: its last module is the linear head; not a compiled one.
            batches: (images, labels) of all samples in the order of their ids, without augmentation.
            with_grand: whether to score GraNd over all parameters, which takes a backward pass a sample.
            with_features: whether to keep the features, 4·D bytes a sample.
            seconds_training: what the steps took.

        Raises:
            ArgumentError: the model's last module is not linear, or the batches are not N samples in all.
        """
        if not isinstance(model, nn.Sequential) or not len(model) or not isinstance(model[-1], nn.Linear):
            raise ArgumentError("model", type(model).__name__, "a Sequential whose last module is a Linear head")
        parts: defaultdict[str, list[torch.Tensor]] = defaultdict(list)
        total, seconds_grand, began, was_training = 0, 0.0, time.perf_counter(), model.training
        model.eval()
        try:
            for images, labels in batches:
                total += len(labels)
                for name, values in _score_batch(model, images, labels, with_features).items():
                    parts[name].append(values.cpu())
                if with_grand:
                    before = time.perf_counter()
                    parts["grand"].append(grand(model, images, labels).cpu())
                    seconds_grand += time.perf_counter() - before
        finally:
            model.train(was_training)
        if total != len(self.wrong_margins):
            raise ArgumentError("batches", f"{total} samples", f"all {len(self.wrong_margins)} samples, in their order")
        columns = {name: torch.cat(values).numpy() for name, values in parts.items()}
        columns |= {"forgetting": self.forgetting.score().cpu().numpy(), "aum": self.wrong_margins.cpu().numpy()}
        seconds = seconds_training + time.perf_counter() - began - seconds_grand
        return Scored(
            features=columns.pop("features", None),
            columns=columns,
            cost=Cost(self.samples + total, self.samples, seconds),
            grand_cost=Cost(total, total, seconds_grand) if with_grand else Cost(),
        )


@torch.no_grad()
def _score_batch(
    model: nn.Sequential, images: torch.Tensor, labels: torch.Tensor, with_features: bool
) -> dict[str, torch.Tensor]:
    hidden = model[:-1](images)
    logits = model[-1](hidden)
    columns = {
        "el2n": el2n(logits, labels),
        "grand_last_layer": grand_last_layer(logits, labels, hidden),
        "margin": margin(logits),
        "least_confidence": least_confidence(logits),
        "entropy": classification(logits, labels).memory,
    }
    return columns | ({"features": hidden.float()} if with_features else {})
