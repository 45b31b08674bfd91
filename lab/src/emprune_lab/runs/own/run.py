"""One run of a user's function, from spec to result: call it with a pruner, check what it did, record it."""

from __future__ import annotations

import gc
import random
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emprune import StaticScores
from emprune.errors import ArgumentError, EmpruneError, EpochOrderError
from emprune_lab.records.provenance import device_name, git_commit, versions
from emprune_lab.records.results import RESULT_FILE, Result, Scored, load_result, save_run
from emprune_lab.runs.event import Event
from emprune_lab.runs.interrupted import Interrupted
from emprune_lab.runs.own.function import TrainFunction, file_of, source_version, takes_folder
from emprune_lab.runs.own.measure import Measure
from emprune_lab.runs.own.watched import Watch, WatchedPruner
from emprune_lab.runs.progress import Progress
from emprune_lab.specs.own import OwnSpec
from emprune_lab.specs.spec import build_pruner, parse_policy, pruner_made_by
from emprune_lab.subsets.static import LABELS

STATE_FOLDER = "state"
"""Below a run's folder, for what the user's function saves of it."""


class TrainError(EmpruneError):
    """The user's function raised; the message has its traceback."""


def check_own(specs: Sequence[OwnSpec]) -> dict[str, int]:
    """Make sure that every run's pruner can be built.

    Returns:
        How many samples each run will train, at most where that follows from the scores, by its run_id.

    Raises:
        ArgumentError: a setting is out of range, or the policy chooses by a scoring run of the laboratory's own.
    """
    for spec in specs:
        if (name := parse_policy(spec.policy)[0]) in LABELS:
            raise ArgumentError(
                "policies", name, "policies that choose by what your own training shows",
                f"{name} needs a scoring run, which there is on data of the laboratory only. With your own scores: "
                f"{StaticScores.name}:scores=FILE.",
            )  # fmt: skip
    return {spec.run_id: sum(build_pruner(spec, spec.num_samples).kept) for spec in specs}


def train_own(
    spec: OwnSpec,
    folder: Path,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
    *,
    function: TrainFunction,
    measure: Measure,
    threads: int | None = None,
    command: str = "",
) -> Result | None:
    """Train one run in its folder below ``folder``; None where it was stopped.

    Args:
        function: of (pruner, seed), which trains and returns a number or a dict of numbers.
        threads: of this process; None: as they are.
        command: what repeats the run; stored in the result.
    """
    if should_stop():
        return None
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        return run(
            spec, folder / spec.run_id, function, measure, command=command, should_stop=should_stop,
            on_progress=lambda progress: on_event(Event(spec, progress)),
        )  # fmt: skip
    except Interrupted:
        return None
    finally:
        gc.collect()  # models in cycles would share the device's memory with the next run's


def run(
    spec: OwnSpec,
    folder: Path,
    function: TrainFunction,
    measure: Measure,
    *,
    command: str = "",
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Call the function for a spec, unless its result lies in ``folder``.

    Global generators of Python, numpy and torch are seeded with the run's seed before.

    Raises:
        Interrupted: ``should_stop`` said so.
        TrainError: the function raised. EmpruneError: it returned no finite number, or did not train to the end.
    """
    if (folder / RESULT_FILE).is_file():
        return measure.read(load_result(folder))

    def stop() -> None:
        if should_stop():
            raise Interrupted(spec.run_id)

    watch = Watch(spec.epochs, stop, on_progress)
    pruner = pruner_made_by(partial(WatchedPruner, watch=watch), spec, spec.num_samples)
    given: dict[str, Any] = {}
    if takes_folder(function):
        given["folder"] = folder / STATE_FOLDER
        given["folder"].mkdir(parents=True, exist_ok=True)
    version = source_version(function)
    _seed(spec.seed)
    began = time.perf_counter()
    returned = _called(function, pruner, spec, given)
    evaluated = time.perf_counter() - (pruner.clock.ended or began)
    _check_trained(pruner)
    result = _result(spec, pruner, measure.values(returned), evaluated, command, function, version)
    save_run(folder, result, _scored(pruner))
    return measure.read(result)


def _scored(pruner: WatchedPruner) -> Scored:
    """What is kept of each sample."""
    table, turns = pruner.table, pruner.turns.array(pruner.num_epochs)
    return Scored(table.times_trained.copy(), table.loss.copy(), table.memory.copy(), turns=turns)


def _called(function: TrainFunction, pruner: WatchedPruner, spec: OwnSpec, given: Mapping[str, Any]) -> object:
    try:
        return function(pruner, spec.seed, **given)
    except Interrupted:
        raise
    except (Exception, SystemExit) as error:
        hint = ""
        if isinstance(error, EpochOrderError) and pruner.epoch >= pruner.num_epochs:
            hint = (
                f"\nThis run has {pruner.num_epochs} epochs: plain training with fewer samples has fewer. Let the "
                "function train for _ in pruner.epochs(), or pruner.num_epochs of them, and no number of its own."
            )
        trace = error.__traceback__ and error.__traceback__.tb_next  # from the user's own first line on
        lines = traceback.format_exception(type(error), error, trace)
        raise TrainError(f"{type(error).__name__}: {error}{hint}\n{''.join(lines)}".strip()) from error


def _check_trained(pruner: WatchedPruner) -> None:
    if pruner.epoch < pruner.num_epochs:
        raise EmpruneError(
            f"the function returned in epoch {pruner.epoch} of {pruner.num_epochs}. It must train all of the pruner's "
            "epochs, or runs are compared on unequal samples: loop for _ in pruner.epochs(), and stop early in none."
        )


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _result(
    spec: OwnSpec, pruner: WatchedPruner, values: dict[str, float], evaluated: float, command: str,
    function: TrainFunction, version: dict[str, str],
) -> Result:  # fmt: skip
    """The record of a run; its first value heads it until it is read by a measure."""
    report, source = pruner.report(), file_of(function)
    head = next(iter(values))
    seconds = {
        "train": pruner.clock.seconds - report.seconds_selecting,
        "select": report.seconds_selecting,
        "score": 0.0,
    }
    return Result(
        data=spec.data,
        model=spec.model,
        split=spec.split,
        label_noise=spec.label_noise,
        policy=spec.policy,
        policy_settings=pruner.policy.settings(),
        prune_rate=spec.prune_rate,
        # Against a full run, which is longer than a short run.
        realised_rate=1 - report.samples_backward / (spec.num_samples * spec.epochs),
        seed=spec.seed,
        epochs=pruner.num_epochs,
        num_samples=spec.num_samples,
        samples_forward=report.samples_forward,
        samples_backward=report.samples_backward,
        optimizer_steps=report.steps,
        metric=head,
        accuracy=values[head],
        metrics=values,
        higher_is_better=True,
        remembered=None,
        remembered_true=None,
        seconds={"total": sum(seconds.values()) + evaluated, **seconds, "evaluate": evaluated},
        history=pruner.clock.history,
        recipe=spec.recipe,
        anneal=spec.anneal,
        budget=spec.budget,
        device=device_name(str(pruner.device)),
        versions=versions() | version,
        git_commit=git_commit(source.parent) if source else "unknown",
        command=command,
        run_id=spec.run_id,
        imbalance=spec.imbalance,
    )
