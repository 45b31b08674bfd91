"""The study's runs: a rate that follows the scores, and fixed rates that train exactly as many samples in all."""

from __future__ import annotations

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


def further_specs(first: RunSpec, realised: float) -> list[RunSpec]:
    """What is compared with it: at its rate, counted of the whole run and met to the sample, and at 0.7.

    Args:
        realised: the rate of the first run.
    """
    same_total = [replace(first, policy=policy, prune_rate=realised, budget="run") for policy in (FIXED, RANDOM)]
    at_rate = [replace(first, policy=policy, prune_rate=RATE) for policy in (TARGET, FIXED, RANDOM)]
    return [same_total[0], *at_rate, replace(first, policy=FULL), same_total[1]]


def train(data: str, seeds: range, folder: Path, data_dir: str | None = None) -> list[Result]:
    """Train what the folder lacks, the last of :func:`further_specs` last; take what another study holds from there.

    Returns:
        All of the study's runs of these seeds.
    """
    elsewhere = {spec_of(result).run_id: result for result in load_results(_ELSEWHERE)}
    first = [first_spec(data, seed, data_dir) for seed in seeds]
    specs: list[list[RunSpec]] = []
    for spec in first:
        _run([spec], folder)
        further = further_specs(spec, load_of(folder)[spec.run_id].realised_rate)
        specs.append([spec, *further])
        _run([one for one in further[:-1] if one.run_id not in elsewhere], folder)
    for of_seed in specs:
        _run(of_seed[-1:], folder)
    done = {**elsewhere, **load_of(folder)}
    return [replace(done[spec.run_id], run_id=spec.run_id) for of_seed in specs for spec in of_seed]


def load_of(folder: Path) -> dict[str, Result]:
    """The folder's results by run_id."""
    return {result.run_id: result for result in load_results(folder)}


def _run(specs: list[RunSpec], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    comparison = Comparison(specs, folder)
    comparison.run_missing(command=f"python -m studies.auto_rate train --data {specs[0].data}")
    if comparison.failed:
        raise RuntimeError("; ".join(comparison.failed.values()))
