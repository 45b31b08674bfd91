"""The third part: the paper's experiment, run by run in the order of worth, as many as end in time."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from accelerator.children import Child, first_done
from accelerator.loop import preset_of
from accelerator.sizes import Sizes
from accelerator.speed import Choice
from emprune_lab.records.results import Result
from emprune_lab.runs.compare import Comparison
from emprune_lab.runs.runner import run
from emprune_lab.specs.recipe import Mode
from emprune_lab.specs.spec import SHORT, RunSpec, build_pruner

CIFAR_SIZE = 50_000
UNMEASURED = Choice("plain", 1, 15_000.0, 10.0)
"""What is assumed of the first model where its speed could not be measured."""
_EVALUATED = 60_000 / 3
"""Images of both sets, in what a training step of an image costs."""
_PATIENCE = 1.2
"""What a run may take of what it was expected to, before runs have shown what they take."""


def queue(sizes: Sizes, data_dir: str | None) -> list[RunSpec]:
    """Every run, the most important first."""
    pruned, later = sizes.policies, sizes.later_policies
    first, *rates = sizes.rates
    specs = list(_runs(sizes, sizes.models[0], pruned, first, 0, data_dir))
    for rate in rates:
        specs += _runs(sizes, sizes.models[0], pruned[:3], rate, 0, data_dir)
    specs += [spec for model in sizes.models[1:] for spec in _runs(sizes, model, pruned, first, 0, data_dir)]
    for model in sizes.models:
        specs += _runs(sizes, model, (SHORT, "full"), first, 0, data_dir)
        specs += _runs(sizes, model, ("full",), first, 0, data_dir, epochs=sizes.short_epochs)
    for rate in rates:
        specs += [spec for model in sizes.models for spec in _runs(sizes, model, pruned, rate, 0, data_dir)]
    specs = list(dict.fromkeys(specs))
    specs += [spec for model in sizes.models for spec in _runs(sizes, model, later, first, 0, data_dir)]
    for seed in range(1, sizes.seeds):
        for model in sizes.models:
            specs += _runs(sizes, model, (*pruned, SHORT, "full", *later), first, seed, data_dir)
    return specs


class Estimate:
    """What runs will take, from what was measured and from the runs that have ended.

    Args:
        choices: by model; a model without one is taken for ``unmeasured`` times as slow as the first with one.
    """

    unmeasured = 4.0

    def __init__(self, choices: Mapping[str, Choice], sizes: Sizes) -> None:
        self._choices, self._sizes = choices, sizes
        self._correction: dict[str, float] = {}

    def choice(self, model: str) -> Choice:
        """How runs of a model are executed."""
        if model in self._choices:
            return self._choices[model]
        known = next(iter(self._choices.values()))
        return known._replace(images_per_second=known.images_per_second / self.unmeasured, start=2 * known.start)

    def seconds(self, spec: RunSpec) -> float:
        """Of a run, from its start to its result, beside as many others as are run at once."""
        return self._promised(spec) * self._correction.get(spec.recipe.model, _PATIENCE)

    def learn(self, spec: RunSpec, took: float) -> None:
        """Take in what a run took."""
        self._correction[spec.recipe.model] = 1.05 * took / self._promised(spec)

    def _promised(self, spec: RunSpec) -> float:
        choice, size = self.choice(spec.recipe.model), spec.recipe.train_size or CIFAR_SIZE
        trained = sum(build_pruner(spec, size).kept)
        evaluated = _EVALUATED if spec.recipe.train_size is None else 0
        each = choice.images_per_second / choice.jobs
        return self._sizes.start_seconds + choice.start + (trained + evaluated) / each


def work_off(
    comparison: Comparison,
    estimate: Estimate,
    work: Path,
    device: str,
    command: str,
    seconds: float,
    tell: Callable[[str], None],
) -> list[str]:
    """Train what is missing and can end in time; what was begun without a result, and why.

    Args:
        work: where runs keep their checkpoints: what is killed goes on from there on the same machine.
        tell: called with a line for each event.
    """
    end = time.monotonic() + seconds
    failed: list[str] = []
    running: dict[Child, tuple[RunSpec, float, bool]] = {}
    mode_of: dict[str, Mode] = {}
    waiting = comparison.missing
    while True:
        left = end - time.monotonic()
        while (spec := _next(waiting, running, estimate, left)) is not None:
            waiting.remove(spec)
            mode = mode_of.setdefault(spec.run_id, estimate.choice(spec.recipe.model).mode)
            tell(f"begins {spec.run_id} ({mode}), expected {estimate.seconds(spec):.0f} s of {left:.0f} s left")
            folder = work / "runs" / spec.run_id
            is_whole = not folder.exists()  # and no rest of a run that was killed, which would seem to be fast
            running[Child(train, spec, folder, mode, device, command)] = (spec, time.monotonic(), is_whole)
        if not running:
            return failed
        done = first_done(list(running), left)
        for child in done or list(running):  # none is done: the time is over
            spec, began, is_whole = running.pop(child)
            outcome = child.finish(0)
            took = time.monotonic() - began
            if outcome.error is not None:
                failed.append(f"{spec.run_id}: {outcome.error}")
                tell(f"fails {failed[-1]}")
                if done and mode_of[spec.run_id] != "plain":
                    mode_of[spec.run_id] = "plain"
                    waiting.insert(0, spec)
                continue
            comparison.add(outcome.value)
            if is_whole:
                estimate.learn(spec, took)
            tell(f"ends {spec.run_id}: {outcome.value.headline}, {took:.0f} s")


def train(spec: RunSpec, folder: Path, mode: Mode, device: str, command: str) -> Result:
    """One run, in a process of its own."""
    torch.set_num_threads(1)
    return run(spec, folder, command=command, device=device, mode=mode)


def outlook(specs: list[RunSpec], estimate: Estimate) -> list[dict[str, Any]]:
    """What each run is expected to take beside its neighbours, for who plans the next call."""
    return [{"run": spec.run_id, "seconds": round(estimate.seconds(spec))} for spec in specs]


def _next(waiting: list[RunSpec], running: Mapping[Child, Any], estimate: Estimate, left: float) -> RunSpec | None:
    """The most important run that ends in time, if there is room for it beside those that run."""
    for spec in waiting:
        if len(running) < estimate.choice(spec.recipe.model).jobs and estimate.seconds(spec) < left:
            return spec
    return None


def _runs(
    sizes: Sizes, model: str, policies: tuple[str, ...], rate: float, seed: int, data_dir: str | None,
    *, epochs: int | None = None,
) -> Iterator[RunSpec]:  # fmt: skip
    preset = preset_of(model)
    recipe = dataclasses.replace(
        preset.recipe, epochs=epochs or sizes.epochs, batch_size=sizes.batch_size, train_size=sizes.train_size,
        precision=sizes.precision,
    )  # fmt: skip
    for policy in policies:
        asked = 0.0 if policy == "full" else rate
        yield RunSpec("cifar100", policy, asked, seed, recipe, anneal=preset.anneal, data_dir=data_dir)
