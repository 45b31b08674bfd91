"""The study's runs: a rate that follows the scores, and fixed rates that train exactly as many samples in all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from studies.repeat import spec_of

from emprune_lab.records.results import Result, load_results
from emprune_lab.runs.compare import Comparison
from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import preset_for

AUTO, TARGET, FIXED, RANDOM, FULL = "emp:rate=auto", "emp:rate=auto-target", "emp", "random", "full"
RATE = 0.7
"""Of the runs with a target, and of the fixed ones beside them."""
_ELSEWHERE = Path(__file__).parents[1] / "fashion-mnist" / "clean-and-mislabelled"


def first_spec(data: str, seed: int, data_dir: str | None = None) -> RunSpec:
    """The run that says how many samples the others of its seed train."""
    return RunSpec(data, AUTO, 0.0, seed, preset_for(data).recipe, data_dir=data_dir)


def further_specs(first: RunSpec, realised: float) -> Iterator[RunSpec]:
    """What is compared with it: at its rate, counted of the whole run and met to the sample, and at 0.7.

    Args:
        realised: the rate of the first run.
    """
    for policy in (FIXED, RANDOM):
        yield replace(first, policy=policy, prune_rate=realised, budget="run")
    for policy in (TARGET, FIXED, RANDOM):
        yield replace(first, policy=policy, prune_rate=RATE)
    yield replace(first, policy=FULL)


def train(data: str, seeds: range, folder: Path, data_dir: str | None = None) -> list[Result]:
    """Train what the folder lacks, seed by seed; runs that another study holds are taken from there."""
    elsewhere = {spec_of(result).run_id: result for result in load_results(_ELSEWHERE)}
    results: list[Result] = []
    for seed in seeds:
        first = first_spec(data, seed, data_dir)
        specs = [first]
        _run(specs, folder, elsewhere)
        realised = load_of(folder)[first.run_id].realised_rate
        specs += further_specs(first, realised)
        _run(specs, folder, elsewhere)
        done = load_of(folder)
        results += [done[spec.run_id] for spec in specs]
    return results


def load_of(folder: Path) -> dict[str, Result]:
    """The folder's results by run_id."""
    return {result.run_id: result for result in load_results(folder)}


def _run(specs: list[RunSpec], folder: Path, elsewhere: dict[str, Result]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    comparison = Comparison(specs, folder)
    for spec in comparison.missing:
        if spec.run_id in elsewhere:
            comparison.add(replace(elsewhere[spec.run_id], run_id=spec.run_id))
    comparison.run_missing(command="python -m studies.auto_rate train")
    if comparison.failed:
        raise RuntimeError("; ".join(comparison.failed.values()))
