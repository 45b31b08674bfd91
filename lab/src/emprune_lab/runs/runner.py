"""One run from spec to result: resume, train, evaluate, write."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch

from emprune.errors import ArgumentError, EmpruneError
from emprune_lab.records.provenance import device_name, git_commit, versions
from emprune_lab.records.results import RESULT_FILE, Result, Samples, load_result, save_run
from emprune_lab.runs.interrupted import Interrupted
from emprune_lab.runs.progress import Progress, progress_of
from emprune_lab.runs.scoring import static_policy
from emprune_lab.runs.training import Training
from emprune_lab.specs.recipe import Mode
from emprune_lab.specs.spec import RunSpec
from emprune_lab.subsets.stored import Cost
from emprune_lab.tasks import training_data

CHECKPOINT_FILE = "checkpoint.pt"
_SECONDS_BETWEEN_CHECKPOINTS = 30.0
_SECONDS_BETWEEN_PROGRESS = 0.5
_ON_A_DEVICE = 5.0  # there it waits for all steps under way


def run(
    spec: RunSpec,
    folder: Path,
    *,
    command: str = "",
    device: str = "cpu",
    mode: Mode = "plain",
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Train a spec in ``folder``, from its checkpoint if one lies there; a finished run is only read.

    Args:
        command: what repeats the run; stored in the result.
        mode: how steps are executed, which does not decide the outcome but for rounding.
        should_stop: asked between steps.

    Raises:
        Interrupted: ``should_stop`` said so; the same call goes on from there.
        ArgumentError: the device's memory does not suffice for the batch size.
    """
    checkpoint = folder / CHECKPOINT_FILE
    if (folder / RESULT_FILE).is_file():
        return load_result(folder)
    try:
        data = training_data(spec)
        scores = folder.parent.with_name("scores")
        policy, scoring = static_policy(spec, data, scores, device, _stopping(spec, should_stop))
        training = Training(spec, data, device, policy=policy, mode=mode)
        if checkpoint.is_file():
            training.restore(checkpoint)
        training.epochs(_between_steps(training, checkpoint, on_progress, should_stop))
        on_progress(progress_of(training))
        return _finish(training, scoring, folder, command, device)
    except torch.OutOfMemoryError as error:
        allowed = f"a smaller one: the memory of {device} does not suffice for {spec.recipe.model}"
        raise ArgumentError("batch_size", spec.recipe.batch_size, allowed) from error


def _finish(training: Training, scoring: Cost, folder: Path, command: str, device: str) -> Result:
    result, samples = _outcome(training, scoring, command, device)
    save_run(folder, result, samples)
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
    return result


def _executed_on(device: str, mode: Mode) -> str:
    return device_name(device) if mode == "plain" else f"{device_name(device)}, {mode}"


def _stopping(spec: RunSpec, should_stop: Callable[[], bool]) -> Callable[[], None]:
    def after_step() -> None:
        if should_stop():
            raise Interrupted(spec.run_id)

    return after_step


def _between_steps(
    training: Training, checkpoint: Path, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
) -> Callable[[], None]:
    told, saved = -math.inf, time.perf_counter()  # the first step says where the run begins
    pause = _SECONDS_BETWEEN_PROGRESS if training.device.type == "cpu" else _ON_A_DEVICE

    def after_step() -> None:
        nonlocal told, saved
        now = time.perf_counter()
        if should_stop():
            training.save(checkpoint)
            raise Interrupted(training.spec.run_id)
        if now - told > pause:
            told = now
            training.settle()
            on_progress(progress_of(training))
        if now - saved > _SECONDS_BETWEEN_CHECKPOINTS:
            saved = now
            training.settle()
            training.save(checkpoint)

    return after_step


def _outcome(training: Training, scoring: Cost, command: str, device: str) -> tuple[Result, Samples]:
    spec, task, pruner = training.spec, training.task, training.pruner
    start = time.perf_counter()
    test, train = task.evaluate_test(), task.evaluate_train()
    evaluated = time.perf_counter() - start
    if task.metric not in test:
        raise ArgumentError("metric", task.metric, f"among those that the task measured: {', '.join(test)}")
    if not math.isfinite(test[task.metric]):
        raise EmpruneError(
            f"{task.metric} of the trained model is {test[task.metric]}: training diverged. Lower max_lr."
        )
    seconds_scoring = training.seconds_scoring + scoring.seconds
    report = pruner.report()
    result = Result(
        data=spec.data,
        model=spec.recipe.model,
        split=spec.split,
        label_noise=spec.label_noise,
        policy=spec.policy,
        policy_settings=pruner.policy.settings(),
        prune_rate=spec.prune_rate,
        # Against a full run of the recipe's length, which is longer than a short run.
        realised_rate=1 - report.samples_backward / (task.num_samples * spec.recipe.epochs),
        seed=spec.seed,
        epochs=pruner.num_epochs,
        num_samples=task.num_samples,
        samples_forward=report.samples_forward + training.forwarded_again + scoring.samples_forward,
        samples_backward=report.samples_backward,
        optimizer_steps=report.steps,
        metric=task.metric,
        accuracy=test[task.metric],
        metrics=test,
        remembered=float(train.right.mean()),
        remembered_true=float(train.right_true.mean()),
        seconds={
            "total": training.seconds + seconds_scoring + report.seconds_selecting + evaluated,
            "train": training.seconds,
            "select": report.seconds_selecting,
            "score": seconds_scoring,
            "evaluate": evaluated,
        },
        history=training.history,
        recipe=spec.recipe.as_dict(),
        anneal=spec.anneal,
        budget=spec.budget,
        device=_executed_on(device, training.mode),
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
        correct=train.right,
        mislabelled=train.mislabelled,
        turns=training.turns.array(pruner.num_epochs),
    )
    return result, samples
