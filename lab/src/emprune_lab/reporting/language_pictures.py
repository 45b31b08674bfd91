"""How held-out text is predicted while a model trains: against samples, and against time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from emprune_lab.records.results import Result
from emprune_lab.reporting.costs import FULL
from emprune_lab.reporting.figures.style import (
    colours,
    dashes,
    grid_lines,
    markers,
    new_figure,
    png,
    spread_apart,
    styled,
    text_colours,
)
from emprune_lab.reporting.pictures import Cells, Picture
from emprune_lab.reporting.statistics import policy_order

_SAMPLES, _SECONDS = "samples trained", "seconds of training"


def learning_pictures(cells: Cells) -> list[Picture]:
    """One figure for each prune rate, where runs measured held-out text after their epochs; none elsewhere."""
    found: list[Picture] = []
    for rate in sorted({rate for policy, rate in cells if policy != FULL}):
        shown = {
            policy: list(seeds.values()) for (policy, its), seeds in cells.items() if its == rate or policy == FULL
        }
        shown = {policy: runs for policy, runs in shown.items() if all(_measured(run) for run in runs)}
        if shown:
            found.append(
                Picture(
                    f"learning-{rate:g}",
                    f"Held-out text while training, {rate:g} pruned",
                    _caption(shown),
                    png(learning_figure(shown)),
                )
            )
    return found


@styled
def learning_figure(runs: Mapping[str, Sequence[Result]]) -> Figure:
    """The metric on held-out text after each epoch over samples trained and over seconds, means over seeds.

    Without the panel of seconds where the runs were on different machines.

    Args:
        runs: policy → its seeds' runs, of one prune rate; each with the metric in its history.
    """
    policies = policy_order(runs)
    machines = {run.device for seeds in runs.values() for run in seeds}
    figure = new_figure(4.2)
    names = [_SAMPLES, _SECONDS] if len(machines) == 1 else [_SAMPLES]
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        for policy in policies:
            spent, values = _curve(runs[policy], name)
            axes.plot(
                spent, values, color=colours(policies)[policy], linestyle=dashes(policies)[policy], linewidth=1.6,
                marker=markers(policies)[policy], markersize=4.5, label=policy,
            )  # fmt: skip
        axes.set_xlabel(name)
        axes.margins(x=0.04)
        grid_lines(axes, "both")
    panels[0].set_ylabel(f"{next(iter(runs.values()))[0].metric}, held-out text")
    _last_values(panels[-1], {policy: float(_curve(runs[policy], _SAMPLES)[1][-1]) for policy in policies}, policies)
    return figure


def _measured(run: Result) -> bool:
    return bool(run.history) and all(run.metric in entry for entry in run.history)


def _curve(runs: Sequence[Result], what: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    key = "kept" if what == _SAMPLES else "seconds"
    spent = np.mean([np.cumsum([entry[key] for entry in run.history]) for run in runs], axis=0)
    return spent, np.mean([[entry[run.metric] for entry in run.history] for run in runs], axis=0)


def _last_values(axes: Axes, ends: Mapping[str, float], policies: Sequence[str]) -> None:
    """Name each line at the right, in the order of where it ends."""
    low, high = axes.get_ylim()
    placed = spread_apart([(value - low) / (high - low) for value in ends.values()], 0.06, 0.02, 0.98)
    for (policy, value), height in zip(ends.items(), placed, strict=True):
        axes.annotate(
            f"{policy}  {value:.3f}", (1.02, height), xycoords="axes fraction", va="center", fontweight="bold",
            color=text_colours(policies)[policy], annotation_clip=False,
        )  # fmt: skip


def _caption(runs: Mapping[str, Sequence[Result]]) -> str:
    one, counts = next(iter(runs.values()))[0], sorted({len(seeds) for seeds in runs.values()})
    seeds = (
        f"{counts[0]} seed{'s' if counts[-1] > 1 else ''}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    )
    return (
        f"{one.metric.capitalize()} of held-out text after each epoch, lower is better, means over {seeds}; measured "
        "on an eighth of the text, so that the last values differ a little from the table's. The learning rate falls "
        "to zero over each policy's own steps, so only the right ends compare finished runs. Seconds are those of "
        "training steps."
    )
