"""The map of the training set: loss against entropy, coloured by training count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from emprune.seeding import generator
from emprune_lab.records.results import Samples
from emprune_lab.reporting.figures.selecting import policies_of, shown_of
from emprune_lab.reporting.figures.style import FAINT, new_figure, styled

LOWEST = 1e-4
"""Nats; what lies below is drawn on the edge: mastered is mastered."""
_MOST_POINTS = 4000
_MOST_COLUMNS = 3
# Without viridis' yellow end, which is hard to see on white.
_COLOURS = ListedColormap(mpl.colormaps["viridis_r"](np.linspace(0.12, 1, 256)))


@styled
def map_figure(runs: Mapping[str, Samples], num_classes: int | None) -> Figure:
    """Loss against entropy of the final model, one panel a policy, of many only some, on logarithmic axes.

    Args:
        runs: policy → one run's samples, all at one rate.
        num_classes: C; the entropy cannot exceed ln C. None: of contrastive runs, loss against memory term, neither
            of which comes near zero, so that the axes are not logarithmic.
    """
    policies = shown_of(policies_of({(policy, 0.0): [samples] for policy, samples in runs.items()}))
    columns = min(len(policies), _MOST_COLUMNS)
    lines = -(-len(policies) // columns)
    figure = new_figure(0.5 + 2.75 * lines)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    # Of the typical policy: a static subset, trained in every epoch, would leave one colour to all others.
    highest = float(np.median([np.quantile(runs[policy].times_trained, 0.99) for policy in policies]))
    scale = Normalize(0, max(1.0, highest))
    drawn = [runs[policy] for policy in policies]
    for axes in panels.flat[len(policies) :]:
        axes.set_axis_off()
    for axes, policy in zip(panels.flat, policies, strict=False):
        points = _panel(axes, runs[policy], scale, 0.0 if num_classes is None else LOWEST)
        axes.set_title(policy, loc="left", fontweight="bold")
        if num_classes is not None:
            _classes(axes, drawn, num_classes)
        axes.tick_params(which="both", length=2)
        axes.minorticks_off()
    for axes in panels.flat[max(0, len(policies) - columns) : len(policies)]:
        axes.tick_params(labelbottom=True)  # the last panel of a column may not stand in the last line
    figure.supxlabel("loss, nats", fontsize=9)
    figure.supylabel("memory term" if num_classes is None else "entropy of the prediction, nats", fontsize=9)
    bar = figure.colorbar(points, ax=panels, shrink=0.6, pad=0.015, extend="max", ticks=MaxNLocator(6, integer=True))
    bar.set_label("times trained")
    bar.outline.set_visible(False)
    return figure


def _classes(axes: Axes, runs: Sequence[Samples], num_classes: int) -> None:
    """Logarithmic axes for all runs, the loss of a sure prediction and the highest entropy."""
    limits = _limits([one.loss for one in runs], 20.0)
    heights = _limits([one.entropy for one in runs], 1.3 * np.log(num_classes))
    axes.set(xscale="log", yscale="log", xlim=limits, ylim=heights)
    axes.axvline(np.log(2), color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
    axes.axhline(np.log(num_classes), color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))


def _panel(axes: Axes, samples: Samples, scale: Normalize, lowest: float) -> PathCollection:
    shown = _thinned(len(samples.loss))
    loss, entropy = (np.maximum(values[shown], lowest) for values in (samples.loss, samples.entropy))
    counts, wrong = samples.times_trained[shown], samples.mislabelled[shown]
    style: dict[str, Any] = {"cmap": _COLOURS, "norm": scale, "rasterized": True}
    size = 10 if len(shown) < 2000 else 5
    points = axes.scatter(loss[~wrong], entropy[~wrong], c=counts[~wrong], s=size, linewidths=0, alpha=0.75, **style)
    if wrong.any():
        axes.scatter(loss[wrong], entropy[wrong], c=counts[wrong], s=16, marker="x", linewidths=0.9, **style)
    return points


def _limits(values: Sequence[NDArray[np.float32]], high: float) -> tuple[float, float]:
    """From the decade of the smallest value shown to that of the largest, or ``high``."""
    every = np.concatenate(values)
    lowest = 10 ** np.floor(np.log10(max(float(every.min()), LOWEST)))
    return 0.7 * lowest, max(high, 1.4 * float(every.max()))


def _thinned(count: int) -> NDArray[np.int64]:
    """At most 4,000 positions in random order, so that no part of the set covers another."""
    return generator(0, 0, "map").permutation(count)[:_MOST_POINTS]
