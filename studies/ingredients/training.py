"""One run: a place, a policy, an ingredient and a seed, to its accuracy and what it cost."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import torch
from studies.ingredients.ingredients import Ingredient, Place
from studies.ingredients.plans import CoveredRandom, sloped_counts
from studies.ingredients.proxy import ByProxy, Proxy, scored_in_chunks
from studies.ingredients.targets import Predictions, part_of, softened
from studies.ingredients.views import Views

from emprune import EMP, Policy, Pruner
from emprune.errors import ArgumentError
from emprune.scoring import classification
from emprune_lab.data import Split
from emprune_lab.runs.training import Training
from emprune_lab.specs.spec import RunSpec, build_policy, build_pruner
from emprune_lab.tasks import Scores, Task, TrainingSet, build_task, training_data
from emprune_lab.tasks.classification import ClassificationTask, LabelledBatch
from emprune_lab.tasks.images.presets import ImageSettings


class Batch(NamedTuple):
    """Inputs [B, ...] as the model takes them, labels int64 [B], ids int64 [B], and soft targets [B, C] if any."""

    inputs: torch.Tensor
    labels: torch.Tensor
    ids: torch.Tensor
    targets: torch.Tensor | None


class SeasonedTask(Task):
    """A classification of images with an ingredient in its batches and targets.

    Args:
        plain: the task of the place.
        num_epochs: of the run.
        earlier: α of the last epoch; 0: targets are as the plain task has them.
        views: how samples look, by id; None: as the plain task draws them.
        proxy: trained on the same batches; None: there is none.
    """

    def __init__(
        self, plain: ClassificationTask, num_epochs: int, earlier: float, views: Views | None, proxy: Proxy | None
    ) -> None:
        self.plain, self.model, self.num_samples, self.metric = plain, plain.model, plain.num_samples, plain.metric
        self.evaluation_batch = plain.evaluation_batch
        self._num_epochs, self._final, self._views, self._proxy = num_epochs, earlier, views, proxy
        self._earlier = Predictions(plain.labels, plain.data.num_classes) if earlier else None

    def batch(self, ids: torch.Tensor, epoch: int, position: int) -> Batch:
        """As of :class:`emprune_lab.tasks.base.Task`; a visit of each sample."""
        if self._views is None:
            inputs, labels, _ = self.plain.batch(ids, epoch, position)
        else:
            inputs, labels = self._views(self.plain.inputs[ids], ids, epoch), self.plain.labels[ids]
            self._views.visited(ids)
        targets = None
        if self._earlier is not None:
            part = part_of(self._final, epoch, self._num_epochs)
            targets = softened(labels, self._earlier.probabilities(ids), part)
        return Batch(inputs, labels, ids, targets)

    def forward(self, batch: Batch, inputs: tuple[str, ...] = ()) -> Scores:
        """Forward a batch of a training step; the proxy has its step on it, and predictions are stored."""
        scores: Scores = self.plain.forward(LabelledBatch(batch.inputs, batch.labels), inputs)
        if self._proxy is not None:
            self._proxy.train(batch.inputs, batch.labels)
        if self._earlier is not None and batch.targets is not None and scores.logits is not None:
            self._earlier.store(batch.ids, scores.logits)
            scores = scores._replace(loss=classification(scores.logits, batch.targets).loss)
        return scores

    def plain_batch(self, ids: torch.Tensor) -> LabelledBatch:
        """As of the plain task."""
        return self.plain.plain_batch(ids)

    def evaluate_test(self) -> dict[str, float]:
        """As of the plain task."""
        return self.plain.evaluate_test()

    def evaluate_train(self) -> TrainingSet:
        """As of the plain task."""
        return self.plain.evaluate_train()


def train(place: Place, policy: str, ingredient: Ingredient, seed: int, split: Split) -> dict[str, Any]:
    """Train and evaluate.

    Args:
        policy: "random" or "emp"; without an ingredient any label of the laboratory.

    Returns:
        JSON values: accuracy in [0, 1]; samples through backward and forward, of the network and of the proxy; steps;
        seconds of the process on its core, and those of the clock.
    """
    spec = spec_of(place, policy, ingredient, seed, split)
    training, proxy = prepared(spec, place, ingredient)
    began, clock = time.process_time(), time.perf_counter()
    training.epochs(lambda: None)
    seconds, clock = time.process_time() - began, time.perf_counter() - clock
    report = training.pruner.report()
    return {
        "value": training.task.evaluate_test()["accuracy"],
        "samples_backward": report.samples_backward, "samples_forward": report.samples_forward,
        "proxy_backward": proxy.trained if proxy else 0, "proxy_forward": proxy.forwarded if proxy else 0,
        "never_trained": report.never_trained, "steps": report.steps,
        "seconds": round(seconds, 3), "clock": round(clock, 3),
    }  # fmt: skip


def spec_of(place: Place, policy: str, ingredient: Ingredient, seed: int, split: Split) -> RunSpec:
    """What the laboratory needs to know of a run."""
    recipe = place.recipe()
    changed = recipe.changed(
        batch_size=max(1, recipe.batch_size // ingredient.steps), max_lr=recipe.max_lr * ingredient.learning_rate,
        label_smoothing=ingredient.smoothing,
    )  # fmt: skip
    return RunSpec(place.data, policy, place.prune_rate, seed, changed, split=split, label_noise=place.noise)


def prepared(spec: RunSpec, place: Place, ingredient: Ingredient) -> tuple[Training, Proxy | None]:
    """The run before its first step, and its proxy if it has one."""
    data = training_data(spec)
    plain = build_task(spec, data, torch.device("cpu"))
    if not isinstance(plain, ClassificationTask):
        raise ArgumentError("place", place.title, "one of images and labels")
    policy = _policy(spec, ingredient)
    views = proxy = None
    if ingredient.proxy or ingredient.by_visits:
        shift = spec.recipe.of_task(ImageSettings).shift
        views = Views(len(data), shift, spec.seed, by_visits=ingredient.by_visits)
    if ingredient.proxy and views is not None:
        proxy = Proxy(_small(place, plain, spec.seed), spec.recipe.max_lr / 2)
        policy = _with_proxy(policy, proxy, plain, views, ingredient.proxy)
    task = SeasonedTask(plain, spec.recipe.epochs, ingredient.earlier, views, proxy)
    pruner = _pruner(spec, len(data), policy, ingredient.slope)
    return Training(spec, data, task=task, pruner=pruner), proxy


def _policy(spec: RunSpec, ingredient: Ingredient) -> Policy:
    if not ingredient.covered:
        return build_policy(spec.policy)
    return EMP(unseen="first") if spec.policy == "emp" else CoveredRandom()


def _small(place: Place, plain: ClassificationTask, seed: int) -> torch.nn.Sequential:
    _, channels, size, _ = plain.inputs[:1].shape
    return place.proxy(channels, size, plain.data.num_classes, seed)


def _with_proxy(policy: Policy, proxy: Proxy, plain: ClassificationTask, views: Views, rule: str) -> Policy:
    def score(ids: torch.Tensor, epoch: int) -> torch.Tensor:
        loss, memory = proxy.score(views(plain.inputs[ids], ids, epoch), plain.labels[ids])
        return loss if rule == "hard" else loss + EMP().beta * memory

    return ByProxy(policy, lambda ids, epoch: scored_in_chunks(ids, lambda part: score(part, epoch)), rule)


def _pruner(spec: RunSpec, num_samples: int, policy: Policy, slope: tuple[float, float]) -> Pruner:
    pruner = build_pruner(spec, num_samples, policy)
    if slope == (1.0, 1.0):
        return pruner
    counts = sloped_counts(pruner.kept, *slope, unit=spec.recipe.batch_size)
    rates = [1 - count / num_samples for count in counts]
    return Pruner(num_samples, policy, prune_rate=rates, num_epochs=len(rates), seed=spec.seed)
