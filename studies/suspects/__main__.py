"""Find wrong labels of Fashion-MNIST by the score table and by cleanlab: ``python -m studies.suspects``.

    python -m studies.suspects --runs runs/suspects             # trains what the folder lacks, then writes the table
    python -m studies.suspects --runs runs/suspects --no-train  # of what is there
    python -m studies.suspects --runs runs/suspects --choose    # scores on seed 300, which choices were made on

Needs cleanlab (pip install cleanlab==2.9.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from studies.run_lists import write_runs
from studies.suspects import runs
from studies.suspects.scores import flagged_by_cleanlab, measures, orders_of_cleanlab, orders_of_table

from emprune_lab.records.provenance import device_name, git_commit, versions

FOLDER = Path(__file__).parent
SEEDS, SEED_OF_CHOICE = (0, 1, 2), 300


@dataclass(frozen=True)
class Options:
    """Where runs lie, and whether missing ones are trained."""

    runs: Path = Path("runs/suspects")
    train: bool = True
    choose: bool = False


def main(options: Options) -> None:
    """Train, measure, and write runs.json and table.md; with ``choose`` print the seed of choice alone."""
    entries = []
    for policy in runs.RUNS:
        for seed in (SEED_OF_CHOICE,) if options.choose else SEEDS:
            if options.train or (options.runs / f"{policy}-{seed}.npz").exists():
                entries += measured(options, policy, seed)
    if options.choose:
        print(table(entries))
        return
    write_runs(FOLDER / "runs.json", entries)
    (FOLDER / "table.md").write_text(table(entries), encoding="utf-8")


def measured(options: Options, policy: str, seed: int) -> list[dict[str, Any]]:
    """What each order finds in one run."""
    run = runs.stored(options.runs, policy, seed)
    wrong = run["labels"] != run["true"]
    head = {
        "policy": policy, "prune_rate": runs.RUNS[policy], "seed": seed, "wrong": int(wrong.sum()),
        "samples": len(wrong), "accuracy": float(run["accuracy"]),
    }  # fmt: skip
    origin = {"device": device_name("cpu"), "torch": versions()["torch"], "commit": git_commit()}
    found = [("score table", name, measures(order, wrong)) for name, order in orders_of_table(run)]
    outputs = {"cleanlab, in-sample": run["in_sample"]}
    folds = [options.runs / f"{policy}-{seed}-fold{number}.npz" for number in range(runs.FOLDS)]
    if not options.choose and (options.train or all(path.exists() for path in folds)):
        outputs["cleanlab, out-of-sample"] = runs.out_of_sample(options.runs, policy, seed)
    for source, values in outputs.items():
        found += [(source, name, measures(order, wrong)) for name, order in orders_of_cleanlab(values, run["labels"])]
        flagged = flagged_by_cleanlab(values, run["labels"])
        own = {"precision": float(wrong[flagged].mean()), "recall": float(flagged[wrong].mean())}
        found.append((source, "find_label_issues, its own number", {**own, "flagged": int(flagged.sum())}))
    return [{**head, "source": source, "order": name, **values, **origin} for source, name, values in found]


def table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a row for each order, means over seeds and each seed's precision."""
    lines = [
        "| run | source | order | precision = recall at the number injected, % (each seed) | average precision, % |",
        "| :--- | :--- | :--- | ---: | ---: |",
    ]
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for entry in entries:
        groups.setdefault((entry["policy"], entry["source"], entry["order"]), []).append(entry)
    for (policy, source, name), group in groups.items():
        precision = [100 * entry["precision"] for entry in group]
        shown = f"{np.mean(precision):.1f} ({', '.join(f'{value:.1f}' for value in precision)})"
        if "recall" in group[0]:
            recall = np.mean([100 * entry["recall"] for entry in group])
            flagged = np.mean([entry["flagged"] for entry in group])
            shown = f"precision {shown}, recall {recall:.1f}, of {flagged:.0f} found"
            average = "–"
        else:
            average = f"{100 * np.mean([entry['average_precision'] for entry in group]):.1f}"
        rate = runs.RUNS[policy]
        lines.append(f"| {policy}{f' at {rate:g}' if rate else ''} | {source} | {name} | {shown} | {average} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(tyro.cli(Options))
