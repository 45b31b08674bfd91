"""The study's figure: which ingredient buys what."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from studies.ingredients.ingredients import PLACES
from studies.ingredients.table import Cells, Run, cells_of, difference, ingredients_of

from emprune_lab.report.palette import looks
from emprune_lab.report.style import FAINT, grid_lines, new_figure, png, styled

_APART = 0.16
"""Between the two policies of a row, in rows."""
_FAR = -10.0
"""Points: what ends further below is named, and not drawn, or the others could not be told apart."""
_NAMES = {"random": "random with it", "emp": "EMP with it"}


def figure_png(runs: Sequence[Run]) -> bytes:
    """The figure as PNG."""
    return png(ingredients_figure(runs))


@styled
def ingredients_figure(runs: Sequence[Run]) -> Figure:
    """A panel for each place: accuracy minus that of random without any ingredient, with 95 % intervals."""
    places = {place: cells for place in PLACES if ingredients_of(cells := cells_of(runs, place, "test"))}
    heights = [len(_drawn(cells)) + 1 for cells in places.values()]
    figure = new_figure(0.34 * sum(heights) + 0.7 * len(places) + 0.6, 7.5)
    panels = figure.subplots(
        len(places) or 1, 1, squeeze=False, sharex=False, gridspec_kw={"height_ratios": heights or [1]}
    )
    for axes, (place, cells) in zip(panels[:, 0], places.items(), strict=False):
        _panel(axes, cells)
        axes.set_title(PLACES[place].title, loc="left", fontweight="bold")
    for axes in panels[-1:, 0]:
        axes.set_xlabel("accuracy minus that of random without an ingredient, points; 95 % intervals, paired by seed")
    if places:
        figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return figure


def _panel(axes: Axes, cells: Cells) -> None:
    names, styles = _drawn(cells), looks(list(_NAMES))
    for policy, offset in (("random", -_APART), ("emp", _APART)):
        found = [(row, difference(cells[policy, name], cells["random", "none"])) for row, name in enumerate(names)]
        shown = [(row + offset, one) for row, one in found if one and (policy, row) != ("random", 0)]
        values = [one.value for _, one in shown]
        widths = [one.half_width or 0 for _, one in shown]
        look = styles[policy]
        axes.errorbar(values, [row for row, _ in shown], xerr=widths, fmt=look.marker, color=look.colour, markersize=6,
                      elinewidth=1.4, capsize=0, label=_NAMES[policy])  # fmt: skip
    emp = difference(cells["emp", "none"], cells["random", "none"])
    axes.axvline(0, color=FAINT, linewidth=0.9)
    if emp:
        axes.axvline(
            emp.value, color=styles["emp"].colour, linewidth=0.9, linestyle=(0, (4, 3)), label="EMP without one"
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    grid_lines(axes, "x")
    if far := [name for name in ingredients_of(cells) if name not in names]:
        axes.set_title(f"not drawn, below −10: {', '.join(far)}", loc="right", fontsize=8.5, color=FAINT)


def _drawn(cells: Cells) -> list[str]:
    """The ingredients with which random and EMP end near enough to random without one."""
    without, found = cells.get(("random", "none"), {}), []
    for name in ingredients_of(cells):
        gains = [difference(cells[policy, name], without) for policy in _NAMES]
        if all(gain is None or gain.value > _FAR for gain in gains):
            found.append(name)
    return found
