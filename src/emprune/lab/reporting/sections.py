"""One section of the report: the facts, table and pictures of one setting."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from emprune.errors import DataError
from emprune.lab import data as lab_data
from emprune.lab.reporting import captions, figures
from emprune.lab.reporting.statistics import FULL, RANDOM, Row, by_cell
from emprune.lab.reporting.tables import Table, build_table, setting_title
from emprune.lab.results import Result, Samples, load_samples
from emprune.lab.spec import SHORT

# Policies that look at no score: which images they train most often is chance.
_BLIND = {FULL, SHORT, RANDOM, "static-random", "rs2"}
_MOST_SHEETS = 3


@dataclass(frozen=True)
class Picture:
    """A figure as PNG bytes, with the name of its file (without ending), what it is, and its caption."""

    name: str
    title: str
    caption: str
    png: bytes


@dataclass(frozen=True)
class Section:
    """One setting of the report.

    Attributes:
        anchor: a name for links, unique in the report. title: the setting in words.
        facts: what was run, as (heading, text).
        findings: sentences. table: the comparison. pictures: figures with captions.
        missing: sentences on what could not be shown, and why.
    """

    anchor: str
    title: str
    facts: tuple[tuple[str, str], ...]
    findings: tuple[str, ...]
    table: Table
    pictures: tuple[Picture, ...]
    missing: tuple[str, ...]


def build_section(
    rows: Sequence[Row], results: Sequence[Result], runs: Path, anchor: str, data_dir: str | Path | None = None
) -> Section:
    """Put one setting's section together.

    Args:
        rows, results: of that setting.
        runs: folder that holds one folder a run, named by its run_id.
        anchor: begins the names of its picture files.
        data_dir: where the data set lies, for the contact sheets.
    """
    pictures = _accuracy_pictures(rows)
    cells = by_cell(results)
    samples, missing = _load(cells, runs)
    by_policy = {
        (policy, rate): [samples[run.run_id] for run in seeds.values() if run.run_id in samples]
        for (policy, rate), seeds in cells.items()
    }
    present = {cell: arrays for cell, arrays in by_policy.items() if arrays}
    if any(policy != FULL for policy, _ in present):
        pictures += _sample_pictures(present)
        single, missed = _single_run_pictures(cells, samples, data_dir)
        pictures, missing = pictures + single, missing + missed
    named = tuple(Picture(f"{anchor}-{one.name}", one.title, one.caption, one.png) for one in pictures)
    return Section(
        anchor=anchor,
        title=setting_title(rows[0].setting),
        facts=_facts(results),
        findings=tuple(captions.findings(rows)),
        table=build_table(rows),
        pictures=named,
        missing=tuple(missing),
    )


def anchor_for(result: Result, taken: Iterable[str]) -> str:
    """A short name for a setting, of letters, digits, dots and dashes, different from those taken."""
    noise = f"-noise{result.label_noise:g}" if result.label_noise else ""
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{result.data}{noise}")
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


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


def _accuracy_pictures(rows: Sequence[Row]) -> list[Picture]:
    pruned = [row for row in rows if row.policy != FULL]
    pictures = []
    if pruned:
        figure = figures.accuracy_figure(rows)
        pictures.append(_picture("accuracy", "Accuracy over prune rate", captions.accuracy_caption(rows), figure))
    if any(row.difference and row.policy != RANDOM for row in pruned):
        caption = captions.difference_caption(pruned)
        pictures.append(_picture("difference", "Gain on random", caption, figures.difference_figure(rows)))
    return pictures


def _sample_pictures(runs: figures.Runs) -> list[Picture]:
    drawn: list[tuple[str, str, Callable[[figures.Runs], str], Callable[[figures.Runs], Figure]]] = [
        ("counts", "How often each sample is trained", captions.counts_caption, figures.counts_figure),
        ("remembered", "What is remembered", captions.remembered_caption, figures.remembered_figure),
    ]
    return [_picture(name, title, caption(runs), figure(runs)) for name, title, caption, figure in drawn]


def _single_run_pictures(
    cells: Mapping[tuple[str, float], Mapping[int, Result]], samples: Mapping[str, Samples],
    data_dir: str | Path | None,
) -> tuple[list[Picture], list[str]]:  # fmt: skip
    """Map and contact sheets: of the highest rate, and of the first seed that has arrays."""
    pruned = [run for (policy, _), seeds in cells.items() if policy != FULL for run in seeds.values()]
    pruned = [run for run in pruned if run.run_id in samples]
    rate = max(run.prune_rate for run in pruned)
    seed = min(run.seed for run in pruned if run.prune_rate == rate)
    chosen = {run.policy: run for run in pruned if (run.prune_rate, run.seed) == (rate, seed)}
    one = next(iter(chosen.values()))
    noisy = one.label_noise > 0
    try:
        loaded = lab_data.load(one.data, data_dir, split=one.split, train_size=one.recipe["train_size"])  # type: ignore[arg-type]
    except DataError as error:
        return [], [f"The map of the training set and the contact sheets need the data set: {error}"]
    data = lab_data.with_label_noise(lab_data.with_imbalance(loaded, one.imbalance, seed), one.label_noise, seed)
    arrays = {policy: samples[run.run_id] for policy, run in chosen.items()}
    figure = figures.map_figure(arrays, data.num_classes)
    pictures = [_picture("map", "Loss against entropy", captions.map_caption(rate, seed, noisy=noisy), figure)]
    # LFL and EMP first: the question is what the memory term changes.
    scored = sorted((p for p in chosen if p.split(":")[0] not in _BLIND), key=lambda p: p not in ("lfl", "emp"))
    for policy in scored[:_MOST_SHEETS]:
        caption = captions.contact_caption(policy, rate, seed, noisy=noisy)
        sheet = figures.contact_figure(data, arrays[policy], policy)
        name = "images-" + re.sub(r"[^A-Za-z0-9.-]+", "-", policy)
        pictures.append(_picture(name, f"Images that {policy} trains most and least", caption, sheet))
    return pictures, []


def _picture(name: str, title: str, caption: str, figure: Figure) -> Picture:
    return Picture(name, title, caption, figures.png(figure))


def _facts(results: Sequence[Result]) -> tuple[tuple[str, str], ...]:
    """What was run, from all results of a setting."""
    one = next((run for run in results if run.policy == FULL), results[0])
    recipe = one.recipe
    noise = f"{100 * one.label_noise:g} % of the training labels replaced by another class, uniformly; "
    facts = {
        "Data": f"{one.data}, {one.num_samples:,} training samples, evaluated on the {one.split} set",
        "Labels": noise + "the same ones for all policies of a seed" if one.label_noise else "as published",
        "Model": one.model,
        "Recipe": f"{recipe['epochs']} epochs, batches of {recipe['batch_size']}, SGD with momentum "
        f"{recipe['momentum']:g}, OneCycle up to a learning rate of {recipe['max_lr']:g}, weight decay "
        f"{recipe['weight_decay']:g}, label smoothing {recipe['label_smoothing']:g}, "
        + (f"shifted by up to {recipe['shift']} pixels and mirrored" if recipe["shift"] else "no augmentation"),
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
