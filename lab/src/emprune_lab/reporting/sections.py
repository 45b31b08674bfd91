"""One section of the report: the facts, tables and pictures of one setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emprune.errors import DataError
from emprune_lab.records.results import Result, Samples, load_samples
from emprune_lab.reporting.contrastive_pictures import memory_pictures
from emprune_lab.reporting.costs import FULL
from emprune_lab.reporting.findings import findings
from emprune_lab.reporting.language_pictures import learning_pictures
from emprune_lab.reporting.layout import Table
from emprune_lab.reporting.pictures import Picture, row_pictures, sample_pictures, single_run_pictures
from emprune_lab.reporting.recipes import recipe_in_words
from emprune_lab.reporting.settings import Setting
from emprune_lab.reporting.statistics import Row, by_cell
from emprune_lab.reporting.tables import setting_tables


@dataclass(frozen=True)
class Section:
    """One setting of the report.

    Attributes:
        anchor: a name for links, unique in the report. title: the setting in words.
        facts: what was run, as (heading, text).
        findings: sentences. tables: the comparison. pictures: figures with captions.
        missing: sentences on what could not be shown, and why.
    """

    anchor: str
    title: str
    facts: tuple[tuple[str, str], ...]
    findings: tuple[str, ...]
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    missing: tuple[str, ...]


def build_section(
    rows: Sequence[Row], results: Sequence[Result], runs: Path, anchor: str, title: str,
    data_dir: str | Path | None = None,
) -> Section:  # fmt: skip
    """Put one setting's section together.

    Args:
        rows, results: of that setting.
        runs: folder that holds one folder a run, named by its run_id.
        anchor: begins the names of its picture files.
        title: the setting in words.
        data_dir: where the data set lies, for the contact sheets.
    """
    cells = by_cell(results)
    samples, missing = _load(cells, runs)
    single, missed = single_run_pictures(cells, samples, data_dir)
    learning = {"labelled": lambda cells: [], "text": learning_pictures, "contrastive": memory_pictures}
    over_training = learning[rows[0].setting.wording.kind](cells)
    pictures = [*row_pictures(rows), *over_training, *sample_pictures(cells, samples), *single]
    return Section(
        anchor=anchor,
        title=title,
        facts=_facts(results),
        findings=tuple(findings(rows)),
        tables=tuple(setting_tables(rows, title)),
        pictures=tuple(Picture(f"{anchor}-{one.name}", one.title, one.caption, one.png) for one in pictures),
        missing=(*missing, *missed),
    )


def _load(cells: Mapping[tuple[str, float], Mapping[int, Result]], runs: Path) -> tuple[dict[str, Samples], list[str]]:
    """Per-sample arrays by run_id, and a sentence if some are missing."""
    loaded, lacking = {}, []
    for run in (run for seeds in cells.values() for run in seeds.values()):
        try:
            loaded[run.run_id] = load_samples(runs / run.run_id)
        except DataError:
            lacking.append(run.run_id)
    if not lacking:
        return loaded, []
    what = "the figures of training counts, memory and images leave them out" if loaded else "no figure of training "
    what += "" if loaded else "counts, memory or images can be drawn"
    named = ", ".join(lacking[:3]) + (" …" if len(lacking) > 3 else "")
    return loaded, [f"samples.npz is missing or damaged for {len(lacking)} of the runs ({named}): {what}."]


def _facts(results: Sequence[Result]) -> tuple[tuple[str, str], ...]:
    """What was run, from all results of a setting."""
    one = next((run for run in results if run.policy == FULL), results[0])
    noise = f"{100 * one.label_noise:g} % of the training labels replaced by another class, uniformly; "
    classes = f", the largest class {one.imbalance:g} times the smallest" if one.imbalance != 1 else ""
    facts = {
        "Data": f"{one.data}, {one.num_samples:,} training samples{classes}, evaluated on the {one.split} set",
        "Labels": noise + "the same ones for all policies of a seed"
        if one.label_noise
        else Setting.of(one).wording.labels,
        "Model": one.model,
        "Recipe": recipe_in_words(one),
        "Schedule": f"last {100 * one.anneal:g} % of the epochs on all the data; rate counted per {one.budget}"
        if one.anneal
        else "the same rate in every epoch",
        "Policies": "; ".join(_policies(results)),
        "Seeds": ", ".join(map(str, sorted({run.seed for run in results}))),
    }
    return tuple(facts.items())


def _policies(results: Sequence[Result]) -> list[str]:
    described = {}
    for policy, rate in by_cell(results):
        run = next(run for run in results if run.policy == policy and run.prune_rate in (rate, 0.0))
        settings = ", ".join(f"{key} = {value}" for key, value in run.policy_settings.items())
        described[policy] = f"{policy} ({settings})" if settings else policy
    return list(described.values())
