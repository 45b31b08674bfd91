"""Contact sheets: suspected label errors, and the samples trained most and least often."""

from __future__ import annotations

from emprune_lab.report.explorable import View

VIEW = View(
    name="sheet",
    title="Samples to look at",
    caption="Of the highest rate’s first seed, with label (class, where training saw no labels), number of "
    "times trained and final loss. Suspected label errors: the highest loss, so the least probable label, first, as "
    "emprune inspect has them; a model that has learnt a wrong label by heart does not name it. A frame marks a "
    "label known to be wrong, written true → given. Ties among most and least trained: the higher final loss "
    "first, the lower among the least.",
    data=lambda comparison, room: {"same": "map"},
    applies=lambda comparison: bool(comparison.scored_example),
    replaces=("images",),
    order=80,
)
