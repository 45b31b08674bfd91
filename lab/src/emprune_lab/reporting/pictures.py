"""The figures of one setting, each with its file name, title and caption."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from emprune.errors import DataError
from emprune_lab.data import ImageData, as_trained
from emprune_lab.records.results import Result, Samples
from emprune_lab.reporting import captions, figures, sample_captions
from emprune_lab.reporting.costs import FULL, RANDOM, own_budget
from emprune_lab.reporting.figures.selecting import shown_of
from emprune_lab.reporting.settings import Setting
from emprune_lab.reporting.statistics import Row
from emprune_lab.specs.spec import SHORT
from emprune_lab.tasks import Wording, labelled_data

Cells = Mapping[tuple[str, float], Mapping[int, Result]]
"""(policy, prune rate) → seed → run."""

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


def row_pictures(rows: Sequence[Row]) -> list[Picture]:
    """What the rows of a setting show: accuracy over rate, differences, accuracy over cost."""
    if all(row.policy == FULL for row in rows):
        return []
    figure = figures.accuracy_figure(rows)
    pictures = [
        _picture("accuracy", f"{rows[0].metric.title} over prune rate", captions.accuracy_caption(rows), figure)
    ]
    if any(row.difference for row in rows):
        caption, title = captions.difference_caption(rows), f"Gain on {rows[0].reference}"
        pictures.append(_picture("difference", title, caption, figures.difference_figure(rows)))
    figure = figures.spending_figure(rows)
    pictures.append(
        _picture("spending", f"{rows[0].metric.title} over time and samples", captions.spending_caption(rows), figure)
    )
    return pictures


def sample_pictures(cells: Cells, samples: Mapping[str, Samples]) -> list[Picture]:
    """What the per-sample arrays of all seeds show: training counts, and what is remembered.

    Args:
        cells: a setting's runs. samples: arrays by run_id, of those that have some.
    """
    remembered = partial(sample_captions.remembered_caption, wording=_wording(cells))
    by_policy = {
        cell: [samples[run.run_id] for run in seeds.values() if run.run_id in samples] for cell, seeds in cells.items()
    }
    runs = {cell: arrays for cell, arrays in by_policy.items() if arrays}
    if not any(policy != FULL and not own_budget(policy) for policy, _ in runs):
        return []
    drawn: list[tuple[str, str, Callable[[figures.Runs], str], Callable[[figures.Runs], Figure]]] = [
        ("counts", "How often each sample is trained", sample_captions.counts_caption, figures.counts_figure),
        ("remembered", "What is remembered", remembered, figures.remembered_figure),
    ]
    return [_picture(name, title, caption(runs), figure(runs)) for name, title, caption, figure in drawn]


def single_run_pictures(
    cells: Cells, samples: Mapping[str, Samples], data_dir: str | Path | None
) -> tuple[list[Picture], list[str]]:
    """Map and contact sheets: of the highest rate, and of the first seed that has arrays.

    Returns:
        The pictures, and a sentence if they could not be drawn for want of the data set.
    """
    pruned = [run for (policy, _), seeds in cells.items() if policy != FULL for run in seeds.values()]
    pruned = [run for run in pruned if run.run_id in samples]
    if not pruned:
        return [], []
    rate = max(run.prune_rate for run in pruned)
    seed = min(run.seed for run in pruned if run.prune_rate == rate)
    chosen = {run.policy: run for run in pruned if (run.prune_rate, run.seed) == (rate, seed)}
    one = next(iter(chosen.values()))
    noisy = one.label_noise > 0
    try:
        loaded = labelled_data(one.data, one.recipe, data_dir, one.split)  # type: ignore[arg-type]
    except DataError as error:
        return [], [f"The map of the training set and the contact sheets need the data set: {error}"]
    if loaded is None:
        return [], []  # without labels there are no classes to draw a map of
    data = as_trained(loaded, imbalance=one.imbalance, label_noise=one.label_noise, seed=seed)
    arrays = {policy: samples[run.run_id] for policy, run in chosen.items()}
    wording = _wording(cells)
    if wording.kind == "contrastive":
        caption = sample_captions.contrastive_map_caption(rate, seed, one)
        pictures = [_picture("map", "Loss against memory term", caption, figures.map_figure(arrays, None))]
    else:
        caption = sample_captions.map_caption(rate, seed, noisy=noisy)
        figure = figures.map_figure(arrays, data.num_classes)
        pictures = [_picture("map", "Loss against entropy", caption, figure)]
    for policy in _sheets(list(chosen)) if isinstance(data, ImageData) else []:
        caption = sample_captions.contact_caption(policy, rate, seed, noisy=noisy, wording=wording)
        sheet = figures.contact_figure(data, arrays[policy], policy)  # type: ignore[arg-type]
        name = "images-" + re.sub(r"[^A-Za-z0-9.-]+", "-", policy)
        pictures.append(_picture(name, f"Images that {policy} trains most and least", caption, sheet))
    return pictures, []


def _wording(cells: Cells) -> Wording:
    return Setting.of(next(iter(next(iter(cells.values())).values()))).wording


def _sheets(policies: Sequence[str]) -> list[str]:
    """LFL and EMP first: the question is what the memory term changes."""
    scored = [policy for policy in policies if policy.split(":")[0] not in _BLIND]
    return sorted(shown_of(scored, _MOST_SHEETS), key=lambda policy: policy not in ("lfl", "emp"))


def _picture(name: str, title: str, caption: str, figure: Figure) -> Picture:
    return Picture(name, title, caption, figures.png(figure))
