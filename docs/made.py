"""Draw the README's figure and fill in the tables that README and docs/results.md make from committed runs.

    python -m docs.made

What is between ``<!-- made: NAME -->`` and ``<!-- end -->`` comes from here; a test compares.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter
from studies.map.cells import Cell, cells
from studies.map.measures import gain, speed_up
from studies.map.names import FIXED, GATED
from studies.map.page import filled
from studies.map.sources import committed_runs, own_runs

from emprune.policies import REGISTRY, InBatchPolicy
from emprune_lab.records.results import load_results
from emprune_lab.report.costs import RANDOM
from emprune_lab.report.formats import NONE, format_difference, format_speed_up
from emprune_lab.report.intervals import mean, paired_difference
from emprune_lab.report.overview import overview_markdown
from emprune_lab.report.palette import NAMED
from emprune_lab.report.style import new_figure, styled

ROOT = Path(__file__).parents[1]
FIGURE = ROOT / "docs" / "accuracy.svg"
PAGES = tuple(ROOT / name for name in ("README.md", "docs/results.md", "docs/policies.md"))
STUDIES = ROOT / "studies"
PANELS = {
    "Fashion-MNIST, a small CNN": ("fashion-mnist", "cnn", 20_000, 0.0),
    "digits with 20 % wrong labels, a CNN that fits them": ("digits", "cnn", 1_197, 0.2),
}
"""Title → data, network, samples and part of wrong labels; runs of 24 and 30 epochs."""
LINES = {"lfl": "top-k by loss (LFL)", RANDOM: "dynamic random", FIXED: "EMP", GATED: "emp-gated, the default"}
SHARES = (0.1, 0.3, 0.5, 0.7, 1)
_FEWEST = 3
"""Seeds of a point in the figure."""
ROWS = {
    "Fashion-MNIST, CNN, 0.7": ("fashion-mnist", "cnn", 20_000, 0.0, 24, 0.7),
    "the same, 20 % wrong labels": ("fashion-mnist", "cnn", 20_000, 0.2, 24, 0.7),
    "CIFAR-100, thin ResNet-10, 40 epochs, 0.7": ("cifar100", "resnet10-thin", 20_000, 0.0, 40, 0.7),
    "digits, CNN that fits 20 % wrong labels, 0.7": ("digits", "cnn", 1_197, 0.2, 30, 0.7),
    "CoLA, fine-tuning, 0.9": ("cola", "minilm", 8_551, 0.0, 10, 0.9),
    "CIFAR-100, ResNet-18, 200 epochs, annealed, 0.7 (as of 0.2.0)": ("cifar100", "resnet18", 50_000, 0.0, 200, 0.7),
}
"""The README's six, first where selecting pays. Data, network, samples, part of wrong labels, epochs, rate."""


def main() -> None:
    FIGURE.write_text(figure(), "utf-8")
    for page in PAGES:
        page.write_text(filled(page.read_text("utf-8"), tables()), "utf-8")


def tables() -> dict[str, str]:
    """By the name that stands in a page: Markdown made from committed runs."""
    return {
        "when it helps": six_lines(),
        "verdict": verdict(),
        "policies": policies(),
        "the default policy": (STUDIES / "gate" / "table.md").read_text("utf-8").strip() + "\n",
        **{
            name: overview_markdown(load_results(STUDIES / name)).strip() + "\n"
            for name in ("fashion-mnist/clean-and-mislabelled", "cifar100-cpu")
        },
    }


def policies() -> str:
    """A row for each built-in policy."""
    lines = ["| name | class | from | reads | partitioned | streams | weights | quotas |"]
    lines.append("| :--- | :--- | :--- | :--- | :---: | :---: | :---: | :---: |")
    for name, kind in sorted(REGISTRY.items()):
        in_batch, honours = issubclass(kind, InBatchPolicy), kind.honours
        able = (kind.partitionable, kind.streams or in_batch, "sample_weight" in honours, "quotas" in honours)
        marks = " | ".join("yes" if one else "" for one in able)
        lines.append(f"| `{name}` | {kind.__name__} | {kind.source} | {', '.join(kind.inputs)} | {marks} |")
    return "\n".join(lines) + "\n"


@cache
def all_cells() -> list[Cell]:
    return cells([*committed_runs(), *own_runs()])


def six_lines() -> str:
    """A row for each of :data:`ROWS`, gains in percentage points of the metric; and what the first costs."""
    lines = [
        "| at equal samples | times trained | random | default − random | EMP − random | plain training needs |",
        "| :--- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, (*place, epochs, rate) in ROWS.items():
        of = [cell for cell in all_cells() if (cell.epochs, cell.prune_rate) == (epochs, rate) and _is(cell, *place)]
        cell = next((one for one in of if not one.anneal), of[0])
        random = mean([run.value for run in cell.random.values()])
        shown = [name, f"{cell.effective_epochs:.1f}", f"{random.value:.1f}"]
        shown += [_gain(cell, GATED), _gain(cell, FIXED), _worth(cell)]
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join([*lines, "", _price()]) + "\n"


def _price() -> str:
    """How far the default ends below all data, where it helps."""
    *place, epochs, rate = next(iter(ROWS.values()))
    settings = (epochs, rate, 0)
    of = (cell for cell in all_cells() if (cell.epochs, cell.prune_rate, cell.anneal) == settings)
    cell = next(cell for cell in of if _is(cell, *place))
    gated, full = cell.runs[GATED], cell.full
    seeds = sorted(set(gated) & set(full))
    below = paired_difference([gated[seed].value for seed in seeds], [full[seed].value for seed in seeds])
    return f"Nothing is free: in the first line the default minus all data is {format_difference(below)}."


def _is(cell: Cell, *place: object) -> bool:
    own = cell.place
    return (own.data, own.network, own.num_samples, own.label_noise) == place and own.imbalance == 1


def _gain(cell: Cell, policy: str) -> str:
    found = gain(cell, policy)
    return NONE if found is None else format_difference(found) + (", one seed" if found.count == 1 else "")


def _worth(cell: Cell) -> str:
    """The samples that plain training needs for what the default reaches, over its own, where both ends are known."""
    found = speed_up(cell, GATED)
    known = found is not None and None not in (found.low, found.high) and not found.low_bound + found.high_bound
    return f"{format_speed_up(found)} times" if known else NONE


def verdict() -> str:
    """In how many cells the default is significantly below and above dynamic random."""
    signs = [found.sign for cell in all_cells() if (found := gain(cell, GATED)) is not None]
    return (
        f"Of {len(signs)} settings, lengths and rates in which the default was run, it is significantly below random "
        f"subsets in {signs.count(-1) or 'none'} and significantly above in {signs.count(1)}.\n"
    )


@styled
def figure() -> str:
    """Test accuracy against samples through backward, as SVG."""
    with mpl.rc_context({"svg.hashsalt": "emprune", "svg.fonttype": "path"}):
        drawn = new_figure(3.5, 10)
        panels = drawn.subplots(1, len(PANELS))
        for axes, (title, place) in zip(panels, PANELS.items(), strict=True):
            _panel(
                axes,
                [cell for cell in all_cells() if _is(cell, *place) and not cell.anneal and cell.epochs in (24, 30)],
            )
            axes.set_title(title, loc="left")
        handles, labels = panels[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        panels[0].set_ylabel("test accuracy, %")
        written = io.StringIO()
        drawn.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines()) + "\n"


def _panel(axes: Axes, found: list[Cell]) -> None:
    whole = max(run.samples for run in found[0].full.values())
    plain = {samples: mean(list(seeds.values())) for samples, seeds in found[0].plain.items() if samples <= whole}
    _line(axes, plain, "plain training on all data, fewer epochs", "short")
    for policy, name in LINES.items():
        runs = [cell.runs[policy].values() for cell in found if len(cell.runs.get(policy, ())) >= _FEWEST]
        points = {next(iter(seeds)).samples: mean([run.value for run in seeds]) for seeds in map(list, runs)}
        _line(axes, points, name, policy)
    shown = [*plain.values(), *(mean([run.value for run in cell.random.values()]) for cell in found)]
    lowest, highest = (pick(one.value for one in shown) for pick in (min, max))
    axes.set_ylim(lowest - 0.6 * (highest - lowest), highest + 0.3 * (highest - lowest))
    axes.set_xscale("log")
    ticks = [whole * part for part in SHARES]
    axes.set_xticks(ticks, [f"{part:.0%}" for part in SHARES])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(0.085 * whole, 1.15 * whole)
    axes.set_xlabel("samples trained, of all data in all epochs")
    axes.grid(axis="y")


def _line(axes: Axes, points: Mapping[int, Any], name: str, policy: str) -> None:
    look = NAMED[policy]
    samples = sorted(points)
    values = np.array([points[one].value for one in samples])
    half = np.array([(points[one].half_width or 0) if policy != "lfl" else 0 for one in samples])
    width = 2.2 if policy == GATED else 1.3
    axes.errorbar(
        samples, values, half, label=name, color=look.colour, marker=look.marker, ms=5, lw=width,
        elinewidth=0.9, capsize=2, ls=(0, (4, 2)) if policy == "short" else "-",
    )  # fmt: skip


if __name__ == "__main__":
    main()
