"""Contact sheets: the images trained most and least often."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from emprune_lab.data import ImageData
from emprune_lab.records.results import Samples, Scored
from emprune_lab.report.comparison import Comparison, shown_of
from emprune_lab.report.costs import FULL, RANDOM
from emprune_lab.report.figure import ReportFigure
from emprune_lab.report.style import FAINT, INK, new_figure
from emprune_lab.specs.spec import SHORT

# Policies that look at no score: which images they train most often is chance.
_BLIND = {FULL, SHORT, RANDOM, "static-random", "rs2"}
_MOST_SHEETS, _IMAGES = 3, 12
_FLIPPED = "#d55e00"
_WIDEST = 10


def extremes(samples: Scored, number: int = _IMAGES) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the samples trained most and least often, both in descending order of interest.

    Ties go to the higher loss among the most trained and to the lower loss among the least trained.
    """
    most = np.lexsort((-samples.loss, -samples.times_trained.astype(np.int64)))[:number]
    least = np.lexsort((samples.loss, samples.times_trained))[:number]
    return most.astype(np.int64), least.astype(np.int64)


def draw(comparison: Comparison) -> dict[str, Figure]:
    """A sheet for each of three policies, lfl and emp first: the question is what the memory term changes."""
    data = comparison.data
    if not isinstance(data, ImageData):
        return {}
    sheets = sorted(shown_of(_scored(comparison), _MOST_SHEETS), key=lambda policy: policy not in ("lfl", "emp"))
    return {policy: sheet(data, comparison.samples[comparison.example[policy].run_id]) for policy in sheets}


def sheet(data: ImageData, samples: Samples) -> Figure:
    """Two lines of the most and two of the least trained images of one run, each with its label and training count.

    Args:
        data: as trained on, label noise included; a flipped label is framed and shown as "true → given".

    Raises:
        ValueError: data and samples differ in length.
    """
    if len(data) != len(samples.times_trained):
        raise ValueError(f"{len(data)} images, but {len(samples.times_trained)} samples in the run")
    figure = new_figure(5.6)
    panels = figure.subplots(4, _IMAGES // 2)
    for lines, ids in zip(np.split(panels, 2), extremes(samples), strict=True):
        for axes, position in zip(lines.flat, ids, strict=False):  # a tiny set has fewer images
            _image(axes, data, int(position), int(samples.times_trained[position]))
    for line, title in zip(panels[:, 0], 2 * ["trained most"] + 2 * ["trained least"], strict=True):
        line.set_ylabel(title, fontweight="bold")
    return figure


def _image(axes: Axes, data: ImageData, position: int, count: int) -> None:
    image = data.images[position]
    pixels = image[0] if len(image) == 1 else image.permute(1, 2, 0)
    axes.imshow(pixels.numpy(), cmap="gray_r", vmin=0, vmax=int(data.images.max()), interpolation="nearest")
    given, true = int(data.labels[position]), int(data.true_labels[position])
    flipped = given != true
    label, true_label = data.class_names[given], data.class_names[true]
    # Two class names may be wider than the image.
    arrow = " →\n" if len(label) + len(true_label) > _WIDEST else " → "
    text = true_label + arrow + label if flipped else label
    axes.set_title(f"{text}  ×{count}", fontsize=7.5, color=_FLIPPED if flipped else INK, pad=3)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=_FLIPPED if flipped else FAINT, linewidth=2 if flipped else 0.5)


def _scored(comparison: Comparison) -> list[str]:
    return [policy for policy in comparison.example if policy.split(":")[0] not in _BLIND]


FIGURE = ReportFigure(
    name="images",
    title="Images trained most and least",
    caption="Of the highest rate’s first seed, with label (class, where training saw no labels) and number of times "
    "trained. A frame marks a wrong label, written true → given. Ties: the higher final loss among the most, the "
    "lower among the least trained.",
    draw=draw,
    applies=lambda comparison: bool(_scored(comparison)),
    order=80,
)
