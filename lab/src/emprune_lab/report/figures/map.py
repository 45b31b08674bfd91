"""The map of the training set: loss against memory term, coloured by training count."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from emprune.seeding import generator
from emprune_lab.records.results import Samples
from emprune_lab.report.comparison import Comparison, shown_of
from emprune_lab.report.figure import ReportFigure
from emprune_lab.report.statistics import policy_order
from emprune_lab.report.style import FAINT, new_figure

_LOWEST = 1e-4
"""Nats; what lies below is drawn on the edge: mastered is mastered."""
_MOST_POINTS = 4000
_MOST_COLUMNS = 3
# Without viridis' yellow end, which is hard to see on white.
_COLOURS = ListedColormap(mpl.colormaps["viridis_r"](np.linspace(0.12, 1, 256)))


def draw(comparison: Comparison) -> Figure:
    """One run a policy, one panel each; of labelled data, where both terms come near zero, on logarithmic axes."""
    data = comparison.data if comparison.setting.labelled else None
    policies = shown_of(policy_order(comparison.example))
    runs = [comparison.samples[comparison.example[policy].run_id] for policy in policies]
    columns = min(len(runs), _MOST_COLUMNS)
    lines = -(-len(runs) // columns)
    figure = new_figure(0.5 + 2.75 * lines)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    # Of the typical policy: a static subset, trained in every epoch, would leave one colour to all others.
    highest = float(np.median([np.quantile(one.times_trained, 0.99) for one in runs]))
    for axes in panels.flat[len(runs) :]:
        axes.set_axis_off()
    for axes, policy, samples in zip(panels.flat, policies, runs, strict=False):
        points = _panel(axes, samples, Normalize(0, max(1.0, highest)), _LOWEST if data else 0.0)
        axes.set_title(policy, loc="left", fontweight="bold")
        axes.tick_params(labelbottom=True)  # the last panel of a column may not stand in the last line
        if data:
            axes.set(xscale="log", yscale="log")
            axes.axvline(np.log(2), color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
            axes.axhline(np.log(data.num_classes), color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
            axes.minorticks_off()
    figure.supxlabel("loss, nats", fontsize=9)
    figure.supylabel("entropy of the prediction, nats" if data else "memory term", fontsize=9)
    bar = figure.colorbar(points, ax=panels, shrink=0.6, pad=0.015, extend="max", ticks=MaxNLocator(6, integer=True))
    bar.set_label("times trained")
    return figure


def _panel(axes: Axes, samples: Samples, scale: Normalize, lowest: float) -> PathCollection:
    # In random order, so that no part of the set covers another.
    shown = generator(0, 0, "map").permutation(len(samples.loss))[:_MOST_POINTS]
    loss, entropy = (np.maximum(values[shown], lowest) for values in (samples.loss, samples.entropy))
    counts, wrong = samples.times_trained[shown], samples.mislabelled[shown]
    style: dict[str, Any] = {"cmap": _COLOURS, "norm": scale, "rasterized": True}
    size = 10 if len(shown) < 2000 else 5
    points = axes.scatter(loss[~wrong], entropy[~wrong], c=counts[~wrong], s=size, linewidths=0, alpha=0.75, **style)
    if wrong.any():
        axes.scatter(loss[wrong], entropy[wrong], c=counts[wrong], s=16, marker="x", linewidths=0.9, **style)
    return points


FIGURE = ReportFigure(
    name="map",
    title="Loss against memory term",
    caption="Every training sample under the final model of the highest rate’s first seed: its loss, and its memory "
    "term (with labels the entropy of the prediction), coloured by how often it was trained. With labels, lower "
    "left: mastered; top: ambiguous; lower right: confidently wrong, the place of label errors. Crosses are samples "
    "with a wrong label. Left of the vertical line (ln 2) a sample is surely predicted as labelled; the horizontal "
    f"one is the highest possible entropy; values below {_LOWEST:g} nats are drawn at that. Of contrastive runs both "
    "are read within batches; left: distinguished from all others. Of many policies six are shown.",
    draw=draw,
    applies=lambda comparison: bool(comparison.example),
    order=70,
)
