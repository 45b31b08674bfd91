"""The study's command: ``python -m studies.streams`` trains what runs.json lacks, then writes table.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from studies.run_lists import origin, read_runs, write_runs
from studies.streams.table import MAIN, RATES, SEEDS, WAYS, table
from studies.streams.training import by_stream, by_table

from emprune_lab.specs.spec import RunSpec
from emprune_lab.tasks import recipe_for

FOLDER = Path(__file__).parent


def asked() -> Iterator[tuple[str, float, str, int]]:
    """Data, rate, way and seed of every run, the main ways of all seeds first."""
    for data, ways in WAYS.items():
        for some in (MAIN, ways[len(MAIN) :]):
            for seed in range(SEEDS[data]):
                for rate in RATES:
                    for way in some:
                        yield data, rate, way, seed


def train(data: str, rate: float, way: str, seed: int) -> dict[str, Any]:
    """One run's numbers."""
    how, policy = way.split(" ", 1)
    name, *fewer = data.split(", ", 1)
    recipe = recipe_for(name)
    if fewer:
        recipe = recipe.changed(train_size=int(fewer[0].removesuffix(" images").replace(",", "")))
    spec = RunSpec(name, policy if how == "table" else "random", rate, seed, recipe)
    return by_table(spec) if how == "table" else by_stream(spec, policy)


def complete(path: Path, console: Console) -> list[dict[str, Any]]:
    """Train what the file lacks, each run written when it ends; returns all runs."""
    runs = read_runs(path)
    done = {(run["data"], run["rate"], run["way"], run["seed"]) for run in runs}
    made = origin()
    for data, rate, way, seed in asked():
        if (data, rate, way, seed) not in done:
            found = train(data, rate, way, seed)
            runs.append({"data": data, "rate": rate, "way": way, "seed": seed, **found, **made})
            write_runs(path, runs)
            console.print(f"{data} {rate:g} {way} seed {seed}: {found['value']:.2f}", highlight=False)
    return runs


if __name__ == "__main__":
    torch.set_num_threads(1)
    (FOLDER / "table.md").write_text(table(complete(FOLDER / "runs.json", Console())), encoding="utf-8")
