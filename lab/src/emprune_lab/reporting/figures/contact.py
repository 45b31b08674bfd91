"""Contact sheet: the images trained most and least often."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from emprune_lab.data import ImageData
from emprune_lab.records.results import Samples
from emprune_lab.reporting.figures.style import FAINT, INK, new_figure, styled

NUMBER = 12
_FLIPPED = "#d55e00"
_WIDEST = 10


def extremes(samples: Samples, number: int = NUMBER) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the samples trained most and least often, both in descending order of interest.

    Ties go to the higher loss among the most trained and to the lower loss among the least trained.
    """
    most = np.lexsort((-samples.loss, -samples.times_trained.astype(np.int64)))[:number]
    least = np.lexsort((samples.loss, samples.times_trained))[:number]
    return most.astype(np.int64), least.astype(np.int64)


@styled
def contact_figure(data: ImageData, samples: Samples, policy: str) -> Figure:
    """The 12 most and the 12 least trained images of one run, each with its label and training count.

    Args:
        data: as trained on, label noise included; a flipped label is framed and shown as "true → given".
        samples: of the run.
        policy: whose run it is, for the heading.

    Raises:
        ValueError: data and samples differ in length.
    """
    if len(data) != len(samples.times_trained):
        raise ValueError(f"{len(data)} images, but {len(samples.times_trained)} samples in the run")
    most, least = extremes(samples)
    figure = new_figure(4.15)
    halves = figure.subfigures(1, 2, wspace=0.06, squeeze=False)[0]
    for half, ids, title in zip(halves, (most, least), ("trained most", "trained least"), strict=True):
        half.suptitle(f"{policy}: {title}", x=0.02, ha="left", fontsize=9.5, fontweight="bold")
        for axes, position in zip(half.subplots(3, 4).flat, ids, strict=False):
            _image(axes, data, int(position), int(samples.times_trained[position]))
    for axes in (axes for half in halves for axes in half.axes if not axes.images):
        axes.set_axis_off()
    return figure


def _image(axes: Axes, data: ImageData, position: int, count: int) -> None:
    image = data.images[position]
    pixels = image[0] if len(image) == 1 else image.permute(1, 2, 0)
    axes.imshow(pixels.numpy(), cmap="gray_r", vmin=0, vmax=_brightest(data.images), interpolation="nearest")
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


def _brightest(images: torch.Tensor) -> int:
    return int(images.max())
