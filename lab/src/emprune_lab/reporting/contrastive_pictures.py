"""The figure that only contrastive runs have: how their memory term moves."""

from __future__ import annotations

from emprune_lab.reporting import figures
from emprune_lab.reporting.costs import FULL
from emprune_lab.reporting.figures.memory import measured
from emprune_lab.reporting.figures.selecting import policies_of, shown_of
from emprune_lab.reporting.pictures import Cells, Picture
from emprune_lab.reporting.sample_captions import memory_caption


def memory_pictures(cells: Cells) -> list[Picture]:
    """The memory term over training at every rate, of the runs that measured it after their epochs; or nothing.

    Args:
        cells: of a setting of contrastive runs; of many policies some are left out, and the caption says so.
    """
    runs = {cell: [run for run in seeds.values() if measured(run)] for cell, seeds in cells.items()}
    runs = {cell: found for cell, found in runs.items() if found}
    pruned = policies_of(runs, [FULL])
    if not pruned:
        return []
    chosen = shown_of(pruned)
    shown = {cell: found for cell, found in runs.items() if cell[0] in (FULL, *chosen)}
    caption = memory_caption(shown, [policy for policy in pruned if policy not in chosen])
    return [Picture("memory", "How the memory term moves", caption, figures.png(figures.memory_figure(shown)))]
