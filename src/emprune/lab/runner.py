"""One run from spec to result: resume, train, evaluate, write."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from emprune.errors import ArgumentError
from emprune.lab import data as lab_data
from emprune.lab.data import ImageData
from emprune.lab.progress import Progress, progress_of
from emprune.lab.provenance import device_name, git_commit, versions
from emprune.lab.results import RESULT_FILE, Result, Samples, load_result, save_run
from emprune.lab.scoring import static_policy
from emprune.lab.scoring_run import Cost
from emprune.lab.spec import RunSpec
from emprune.lab.training import Training

CHECKPOINT_FILE = "checkpoint.pt"
_SECONDS_BETWEEN_CHECKPOINTS = 30.0
_SECONDS_BETWEEN_PROGRESS = 0.5


class Interrupted(Exception):  # noqa: N818 - not an error
    """The run was asked to stop; its state lies in its folder."""


def run(
    spec: RunSpec,
    folder: Path,
    *,
    command: str = "",
    device: str = "cpu",
    compiled: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Train a spec in ``folder``, from its checkpoint if one lies there; a finished run is only read.

    Args:
        command: what repeats the run; stored in the result.
        compiled: whether the model goes through torch.compile.
        should_stop: asked between steps.

    Raises:
        Interrupted: ``should_stop`` said so; the same call goes on from there.
        ArgumentError: the device's memory does not suffice for the batch size.
    """
    if (folder / RESULT_FILE).is_file():
        return load_result(folder)
    checkpoint = folder / CHECKPOINT_FILE
    try:
        data = training_data(spec)
        policy, scoring = static_policy(
            spec, data, folder.parent.with_name("scores"), device, _stopping(spec, should_stop)
        )
        training = Training(spec, data, device, policy=policy, compiled=compiled)
        if checkpoint.is_file():
            training.restore(checkpoint)
        training.epochs(_between_steps(training, checkpoint, on_progress, should_stop))
        on_progress(progress_of(training))
        result, samples = _outcome(training, scoring, command, device)
    except torch.OutOfMemoryError as error:
        allowed = f"a smaller one: the memory of {device} does not suffice for {spec.recipe.model}"
        raise ArgumentError("batch_size", spec.recipe.batch_size, allowed) from error
    save_run(folder, result, samples)
    checkpoint.unlink(missing_ok=True)
    return result


def training_data(spec: RunSpec) -> ImageData:
    """The data that a spec trains on, read from its files."""
    loaded = lab_data.load(spec.data, spec.data_dir, split=spec.split, train_size=spec.recipe.train_size)
    return lab_data.as_trained(loaded, imbalance=spec.imbalance, label_noise=spec.label_noise, seed=spec.seed)


def _stopping(spec: RunSpec, should_stop: Callable[[], bool]) -> Callable[[], None]:
    def after_step() -> None:
        if should_stop():
            raise Interrupted(spec.run_id)

    return after_step


def _between_steps(
    training: Training, checkpoint: Path, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
) -> Callable[[], None]:
    told = saved = time.perf_counter()

    def after_step() -> None:
        nonlocal told, saved
        now = time.perf_counter()
        if should_stop():
            training.save(checkpoint)
            raise Interrupted(training.spec.run_id)
        if now - told > _SECONDS_BETWEEN_PROGRESS:
            told = now
            on_progress(progress_of(training))
        if now - saved > _SECONDS_BETWEEN_CHECKPOINTS:
            saved = now
            training.save(checkpoint)

    return after_step


def _outcome(training: Training, scoring: Cost, command: str, device: str) -> tuple[Result, Samples]:
    spec, data, pruner = training.spec, training.data, training.pruner
    start = time.perf_counter()
    test, train = training.evaluate_test(), training.evaluate_train()
    evaluated = time.perf_counter() - start
    seconds_scoring = training.seconds_scoring + scoring.seconds
    report = pruner.report()
    right, true_labels = train.predicted == data.labels.numpy(), data.true_labels.numpy()
    result = Result(
        data=spec.data,
        model=spec.recipe.model,
        split=spec.split,
        label_noise=spec.label_noise,
        policy=spec.policy,
        policy_settings=pruner.policy.settings(),
        prune_rate=spec.prune_rate,
        # Against a full run of the recipe's length, which is longer than a short run.
        realised_rate=1 - report.samples_backward / (len(data) * spec.recipe.epochs),
        seed=spec.seed,
        epochs=pruner.num_epochs,
        num_samples=len(data),
        samples_forward=report.samples_forward + training.forwarded_again + scoring.samples_forward,
        samples_backward=report.samples_backward,
        optimizer_steps=report.steps,
        metric="accuracy",
        accuracy=float(np.mean(test.predicted == data.test_labels.numpy())),
        remembered=float(np.mean(right)),
        remembered_true=float(np.mean(train.predicted == true_labels)),
        seconds={
            "total": training.seconds + seconds_scoring + report.seconds_selecting + evaluated,
            "train": training.seconds,
            "select": report.seconds_selecting,
            "score": seconds_scoring,
            "evaluate": evaluated,
        },
        history=training.history,
        recipe=dataclasses.asdict(spec.recipe),
        anneal=spec.anneal,
        budget=spec.budget,
        device=device_name(device),
        versions=versions(),
        git_commit=git_commit(),
        command=command,
        run_id=spec.run_id,
        imbalance=spec.imbalance,
        samples_backward_scoring=scoring.samples_backward,
    )
    samples = Samples(
        times_trained=pruner.table.times_trained.copy(),
        loss=train.loss,
        entropy=train.entropy,
        correct=right,
        mislabelled=(data.labels != data.true_labels).numpy(),
    )
    return result, samples
